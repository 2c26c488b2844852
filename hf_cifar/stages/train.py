"""The stages of a run, from a configuration to what it leaves behind."""

import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, set_seed

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.sources import Source, load_source
from hf_cifar.data.splits import Splits, make_splits
from hf_cifar.data.transforms import dataset_statistics
from hf_cifar.errors import InputError
from hf_cifar.evaluation.artifacts import record
from hf_cifar.evaluation.calibration import fit_temperature
from hf_cifar.evaluation.compute_metrics import evaluate_logits
from hf_cifar.evaluation.robustness import measure_robustness
from hf_cifar.models.anatomy import head
from hf_cifar.models.build import build_model
from hf_cifar.models.native import save
from hf_cifar.models.predict import predict_logits
from hf_cifar.models.processors import fit_processor, own_statistics
from hf_cifar.run.environment import hardware, versions
from hf_cifar.run.result import StageResult
from hf_cifar.run.run_folder import RunFolder
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.training.finetune.finetune import Finetune, finetune_arguments
from hf_cifar.training.finetune.starting_point import find_start, warn_of_leak
from hf_cifar.training.optimizer import optimizer_name
from hf_cifar.training.probe.probe import Probe, probe_arguments
from hf_cifar.utils import processes
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class _Outcome:
    """What a training stage hands over to be measured and saved."""

    model: PreTrainedModel
    processor: Any
    weights: str
    base_model: str | None
    validation_logits: np.ndarray
    test_logits: np.ndarray
    train: dict[str, Any]


def run(config: RunConfig) -> StageResult:
    """Run the stages that a configuration names, and return the last one's result.

    Raises:
        InputError: the request, or what it points at, is wrong.
        TrainingError: training cannot go on, such as with a loss that is no longer a number.
        Interrupted: a signal came; what is done so far can be gone on from with `resume`.
    """
    run_folder = RunFolder(config)
    result: StageResult | None = None
    data: tuple[Source, Splits] | None = None
    # Arguments that do not fit are found now, and not when the stages before are done.
    for stage, arguments in (("probe", probe_arguments), ("finetune", finetune_arguments)):
        if stage in config.stages:
            arguments(config, run_folder.stage(stage))
    for stage in config.stages:
        folder = run_folder.stage(stage)
        metrics = folder.done() if config.resume else None
        if metrics is not None:
            say(f"{stage} in {run_folder.path} is done already")
        else:
            if data is None:
                source = load_source(config.data)
                data = source, make_splits(source, config.data, config.seed)
            metrics = _run_stage(stage, config, *data, run_folder, first=result is None)
        result = StageResult(stage, run_folder.path, metrics, result)
    assert result is not None
    return result


def _run_stage(
    stage: str, config: RunConfig, source: Source, splits: Splits, run_folder: RunFolder, first: bool
) -> dict[str, Any]:
    """Run one training stage, save what it came to, and return its metrics."""
    begun = time.perf_counter()
    set_seed(config.seed)
    folder = run_folder.stage(stage)
    if first:
        sizes = ", ".join(f"{name} {len(images):,} ({splits.origin[name]})" for name, images in splits.parts().items())
        say(f"data: {source.name}, {len(source.label_names)} classes; {sizes}")
        for name, count in splits.num_corrupt.items():
            if count:
                say(f"warning: {count} images of {name} cannot be read and are left out")
    outcome = (_probe if stage == "probe" else _finetune)(config, source, splits, run_folder, folder)
    seconds = time.perf_counter() - begun
    splits.validation.refuse_test("the temperature")
    temperature = fit_temperature(outcome.validation_logits, splits.validation.targets)
    # With the model, for whoever wants calibrated scores; nothing applies it unasked.
    outcome.model.config.calibration_temperature = temperature
    metrics = _metrics(stage, config, source, splits, outcome, temperature)
    metrics["train"]["seconds"] = seconds
    if config.evaluation.robustness:
        workers = getattr(config, stage).training.get("dataloader_num_workers")
        metrics["robustness"] = measure_robustness(
            outcome.model, outcome.processor, splits.test, config.seed, workers=workers
        )
    if processes.is_main():
        save(outcome.model, outcome.processor, folder.model)
        record(folder, metrics, outcome.test_logits, splits.test, outcome.model, outcome.processor)
    processes.wait_for_all()
    say(StageResult(stage, run_folder.path, metrics).headline())
    say(f"model: {folder.model}; report: {folder.report}")
    return metrics


def _probe(config: RunConfig, source: Source, splits: Splits, run_folder: RunFolder, folder: StageFolder) -> _Outcome:
    built = build_model(config.model, source.label_names, config.seed)
    if built.probe_fault is not None:
        raise InputError(f"{built.probe_fault}: it cannot be probed; use --stage finetune")
    processor = _fitted(built.processor, config, source, splits)
    probe = Probe(config, built.model, processor, splits, folder)
    for line in (f"model: {built.origin}", *built.remarks):
        say(line)
    _claim(run_folder, source, splits, built.origin)
    result = probe.run(config.resume)
    train = {
        "solver": config.probe.solver,
        "features": config.probe.features,
        "augmentation": config.augment["probe"],
        "chosen": result.chosen,
        "epochs": result.epochs,
        "feature_seconds": result.feature_seconds,
        "head_seconds": result.head_seconds,
        "images_through_backbone": result.images_read,
        "images_per_second": len(splits.train) * (result.epochs or 1.0) / result.head_seconds,
        "trainable_parameters": head(built.model).num_parameters,
    }
    logits = result.validation_logits, result.test_logits
    return _Outcome(built.model, processor, built.origin, built.base_model, *logits, train)


def _finetune(
    config: RunConfig, source: Source, splits: Splits, run_folder: RunFolder, folder: StageFolder
) -> _Outcome:
    start = find_start(config, source.label_names)
    of_this_run = config.finetune.from_ is None and run_folder.stage("probe").done() is not None
    # A probe's processor is fitted already; what it was fitted to goes with its weights.
    processor = start.processor if of_this_run else _fitted(start.processor, config, source, splits)
    finetune = Finetune(config, start, processor, splits.train, splits.validation, source.label_names, folder)
    say(f"fine-tuning starts from {start.origin}: {start.weights}")
    warn_of_leak(config, splits)
    if "probe" not in config.stages:
        _claim(run_folder, source, splits, start.weights)
    result = finetune.run(config.resume)
    options = config.finetune
    train = {
        "start": start.origin,
        "unfreeze": options.unfreeze,
        "bn": options.bn,
        "optimizer": optimizer_name(finetune.arguments),
        "learning_rate": finetune.arguments.learning_rate,
        "scheduler": options.scheduler,
        "augmentation": {**vars(config.augmentation), "augment": config.augment["finetune"]},
        "chosen": result.chosen,
        "epochs": result.epochs,
        "training_seconds": result.seconds,
        "images_per_second": len(splits.train) * result.epochs / result.seconds,
        "trainable_parameters": result.trainable_parameters,
    }
    validation = predict_logits(result.model, processor, splits.validation, "predicting validation")
    test = predict_logits(result.model, processor, splits.test, "predicting test")
    return _Outcome(result.model, processor, start.weights, start.base_model, validation, test, train)


def _claim(run_folder: RunFolder, source: Source, splits: Splits, weights: str) -> None:
    """Take the folder and describe the run in it, once nothing about the request can be wrong any more."""
    run_folder.claim()
    provenance = {
        "dataset": source.name,
        "dataset_revision": source.revision,
        "fingerprints": {name: images.fingerprint for name, images in splits.parts().items()},
        "splits": splits.origin,
        "backbone": weights,
    }
    indices = {
        name: {"split": images.name, "fingerprint": images.fingerprint, "rows": images.index.tolist()}
        for name, images in splits.parts().items()
    }
    run_folder.describe(provenance, indices)


def _fitted(processor: Any, config: RunConfig, source: Source, splits: Splits) -> Any:
    """A processor of the size and normalisation that were asked for."""
    statistics = None
    if config.model.normalization == "dataset":
        statistics = dataset_statistics(splits.train, source.name, config.seed)
        mean, std = np.array(statistics[0]), np.array(statistics[1])
        own_mean, own_std = map(np.array, own_statistics(processor))
        say(
            f"warning: --normalization dataset (mean {statistics[0]}, std {statistics[1]}) is not what the backbone "
            f"was trained with (mean {own_mean.tolist()}, std {own_std.tolist()}): it sees inputs shifted by up to "
            f"{np.abs((own_mean - mean) / std).max():.2f} and scaled by up to {np.max(own_std / std):.2f}; "
            "a frozen backbone cannot adapt to that, and the larger they are, the more accuracy it costs"
        )
    return fit_processor(processor, config.model.image_size, statistics)


def _metrics(
    stage: str, config: RunConfig, source: Source, splits: Splits, outcome: _Outcome, temperature: float | None
) -> dict[str, Any]:
    parts = (("test", outcome.test_logits), ("validation", outcome.validation_logits))
    return {
        "stage": stage,
        "model": outcome.weights,
        "base_model": outcome.base_model,
        "seed": config.seed,
        "dataset": {
            "id": source.name,
            "revision": source.revision,
            "fingerprint": splits.train.fingerprint,
            "num_train": len(splits.train),
            "num_validation": len(splits.validation),
            "num_test": len(splits.test),
            "train_per_class": {
                name: int((splits.train.targets == number).sum()) for number, name in enumerate(source.label_names)
            },
            "num_corrupt": splits.num_corrupt,
            "splits": splits.origin,
        },
        **{
            name: evaluate_logits(logits, splits.parts()[name].targets, source.label_names, temperature)
            for name, logits in parts
        },
        "train": {
            **outcome.train,
            "processes": processes.count(),
            "peak_memory_mb": _peak_memory_mb(),
            "total_parameters": sum(parameter.numel() for parameter in outcome.model.parameters()),
        },
        "hardware": hardware(outcome.model.device),
        "versions": versions(),
    }


def _peak_memory_mb() -> float:
    """Of the GPU where one is used, otherwise of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

"""`--stage probe`, `finetune` and `lpft`: train, measure and save, from a request to what the run leaves behind."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, set_seed

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.content import MAX_IMAGES, image_hashes
from hf_cifar.data.layout import describe_source, recorded_layout
from hf_cifar.data.sources import Source, load_source
from hf_cifar.data.splits import Splits, make_splits
from hf_cifar.errors import InputError
from hf_cifar.evaluation.artifacts import save_artifacts
from hf_cifar.evaluation.calibration import fit_temperature
from hf_cifar.evaluation.compute_metrics import compute_metrics
from hf_cifar.evaluation.figures.augmentation import augmentation_figure
from hf_cifar.evaluation.robustness import measure_robustness
from hf_cifar.evaluation.validation_metrics import validation_metrics
from hf_cifar.models.anatomy import find_layers
from hf_cifar.models.build import build_model
from hf_cifar.models.native import save, to_native
from hf_cifar.models.predict import predict_logits
from hf_cifar.run.environment import hardware, versions
from hf_cifar.run.origins import WeightsOrigin
from hf_cifar.run.resolve import Request
from hf_cifar.run.result import StageResult
from hf_cifar.run.run_folder import RunFolder
from hf_cifar.run.seed_summary import SeedSummary
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import DatasetInfo, StageMetrics
from hf_cifar.run.train_summary import Augmentation, FinetuneSummary, ProbeSummary
from hf_cifar.run.wording import describe_split, describe_start, describe_weights
from hf_cifar.stages.preprocessing import fitted_processor
from hf_cifar.training.finetune.arguments import finetune_arguments, refuse_long_warmup
from hf_cifar.training.finetune.finetune import Finetune
from hf_cifar.training.finetune.starting_point import find_start, warn_of_leak
from hf_cifar.training.imbalance import balancing
from hf_cifar.training.optimizer import optimizer_name
from hf_cifar.training.probe.probe import Probe, probe_arguments
from hf_cifar.utils import processes
from hf_cifar.utils.memory import PeakMemory
from hf_cifar.utils.progress import say
from hf_cifar.utils.random_state import seed_of_32_bits


@dataclass(frozen=True)
class Trained:
    """A trained model with its predictions, to be measured and saved."""

    model: PreTrainedModel
    processor: Any
    weights: WeightsOrigin
    base_model: str | None
    validation_logits: np.ndarray
    test_logits: np.ndarray
    details: dict[str, Any]


Data = tuple[Source, Splits]


def run_training(request: Request, data: Data | None = None) -> StageResult:
    """Run the training stages that a request asks for, and return the last one's result.

    Args:
        request: of one seed.
        data: the request's data, where they are loaded already.

    Raises:
        InputError: the request, or what it names, is wrong.
        TrainingError: training cannot continue, such as with a loss that is NaN.
        Interrupted: a signal came; `resume` continues from what is saved.
    """
    with ExitStack() as stack:
        return _run_stages(request, RunFolder(request, stack), data)


def _run_stages(request: Request, run_folder: RunFolder, data: Data | None) -> StageResult:
    config = request.config
    # Arguments that do not fit are refused now, and not when the stages before them are done.
    makers = {"probe": probe_arguments, "finetune": finetune_arguments}
    arguments = {stage: makers[stage](config, run_folder.stage(stage)) for stage in config.stages}
    result: StageResult | None = None
    checked = False
    for stage in config.stages:
        metrics = run_folder.finished(stage) if config.resume else None
        if metrics is not None:
            say(f"{stage} in {run_folder.path} is finished already")
        else:
            data = data or load_data(config)
            if not checked:
                run_folder.refuse_other_data(data[1].parts())
                if "finetune" in arguments:
                    refuse_long_warmup(arguments["finetune"], len(data[1].train))
                checked = True
            metrics = _run_stage(stage, request, *data, run_folder, arguments[stage].device)
        result = StageResult(stage, run_folder.path, metrics, result)
    assert result is not None
    return result


def load_data(config: RunConfig) -> Data:
    """Load and split the data, and say what it is."""
    source = load_source(config.data)
    splits = make_splits(source, config.data, config.split_seed)
    sizes = ", ".join(
        f"{name} {len(images):,} ({describe_split(splits.origin[name])})" for name, images in splits.parts().items()
    )
    say(f"data: {describe_source(source)}; {sizes}")
    for name, count in splits.num_corrupt.items():
        if count:
            say(f"warning: {count:,} unreadable images of {name} are left out")
    return source, splits


def _run_stage(
    stage: str, request: Request, source: Source, splits: Splits, run_folder: RunFolder, device: torch.device
) -> StageMetrics:
    """Run one training stage, save its model and its results, and return its metrics."""
    started, memory = time.perf_counter(), PeakMemory(device)
    config = request.config
    set_seed(seed_of_32_bits(config.seed))
    folder = run_folder.stage(stage)
    trained = (_probe if stage == "probe" else _finetune)(request, source, splits, run_folder, folder)
    # The file says how long training took: what follows is measuring.
    seconds = time.perf_counter() - started
    metrics = measure_and_save(stage, config, (source, splits), trained, folder, seconds, memory)
    say(StageResult(stage, run_folder.path, metrics).headline())
    say(f"model: {folder.model}; report: {folder.report}")
    return metrics


def measure_and_save(
    stage: str,
    config: RunConfig,
    data: Data,
    trained: Trained,
    folder: StageFolder,
    seconds: float,
    memory: PeakMemory,
    seeds: SeedSummary | None = None,
) -> StageMetrics:
    """Measure a trained model, save it with everything that a stage leaves, and return its metrics.

    Args:
        stage: probe or finetune.
        config: of the run.
        data: of the run.
        trained: the model with its predictions.
        folder: of the stage.
        seconds: that training took.
        memory: watched since it began.
        seeds: what several seeds came to, where the model was made from them.
    """
    source, splits = data
    splits.validation.refuse_test("the temperature")
    temperature = fit_temperature(trained.validation_logits, splits.validation.targets)
    # Kept with the model for whoever wants calibrated scores; nothing applies it unasked.
    trained.model.config.calibration_temperature = temperature
    metrics = _metrics(stage, config, source, splits, trained, temperature, seconds, memory)
    metrics = replace(metrics, seeds=seeds)
    if processes.is_main():
        save(trained.model, trained.processor, folder.model)
        folder.seal_model()
        save_artifacts(folder, metrics, trained.test_logits, splits.test, trained.model, trained.processor)
    processes.wait_for_all()
    return metrics


def _probe(request: Request, source: Source, splits: Splits, run_folder: RunFolder, folder: StageFolder) -> Trained:
    config = request.config
    assert request.model is not None
    built = build_model(request.model, request.weights, config.model.image_size, source.label_names, config.seed)
    if built.probe_fault is not None:
        raise InputError(f"{built.probe_fault}: it cannot be probed; use --stage finetune")
    if "finetune" in config.stages:
        # Names that do not exist are refused now, and not when the probe is done.
        find_layers(to_native(built.model), config.finetune.layers)
    processor = fitted_processor(built.processor, config, source, splits)
    probe = Probe(config, built.model, processor, splits, folder)
    for line in (f"model: {describe_weights(built.origin)}", *built.remarks):
        say(line)
    claim(run_folder, source, splits, built.origin)
    result = probe.run(config.resume)
    details = {
        "solver": config.probe.solver,
        "features": config.probe.features,
        "augmentation": _augmentation(config, "probe"),
        "balancing": balancing(config.imbalance, splits.train.targets),
        "chosen": result.chosen,
        "epochs": result.epochs,
        "feature_seconds": result.feature_seconds,
        "head_seconds": result.head_seconds,
        "images_through_backbone": result.images_read,
        "input_wait_fraction": result.input_wait_fraction,
        "images_per_second": len(splits.train) * (result.epochs or 1.0) / result.head_seconds,
        "trainable_parameters": result.trainable_parameters,
    }
    logits = result.validation_logits, result.test_logits
    return Trained(built.model, processor, built.origin, built.base_model, *logits, details)


def _finetune(request: Request, source: Source, splits: Splits, run_folder: RunFolder, folder: StageFolder) -> Trained:
    config = request.config
    start = find_start(request, source.label_names)
    # A probe's processor is fitted already; what it was fitted to goes with its weights.
    own_probe = run_folder.stage("probe").metrics.is_file() and config.finetune.from_ is None
    processor = start.processor if own_probe else fitted_processor(start.processor, config, source, splits)
    finetune = Finetune(
        config, start, processor, splits.train, splits.validation, source.label_names, folder, validation_metrics
    )
    say(f"fine-tuning starts from {describe_start(start.origin)}: {describe_weights(start.weights)}")
    warn_of_leak(request, splits)
    if "probe" not in config.stages:
        claim(run_folder, source, splits, start.weights)
    if processes.is_main():
        augmentation_figure(folder.figures / "augmentation.png", finetune.training_images, source.label_names)
    result = finetune.run(config.resume)
    details = {
        "start": start.origin,
        "unfreeze": config.finetune.unfreeze,
        "bn": config.finetune.bn,
        "optimizer": optimizer_name(finetune.arguments),
        "learning_rate": finetune.arguments.learning_rate,
        "scheduler": config.finetune.scheduler,
        "augmentation": _augmentation(config, "finetune"),
        "balancing": balancing(config.imbalance, splits.train.targets),
        "chosen": result.chosen,
        "epochs": result.epochs,
        "training_seconds": result.seconds,
        "images_per_second": len(splits.train) * result.epochs / result.seconds,
        "trainable_parameters": result.trainable_parameters,
        "input_wait_fraction": result.input_wait_fraction,
    }
    test = predict_logits(result.model, processor, splits.test, "predicting test")
    return Trained(result.model, processor, start.weights, start.base_model, result.validation_logits, test, details)


def claim(run_folder: RunFolder, source: Source, splits: Splits, weights: WeightsOrigin | None) -> None:
    """Take the folder and describe the run in it, once nothing about the request can be wrong any more."""
    run_folder.claim()
    parts = splits.parts()
    provenance = {
        "dataset": source.name,
        "dataset_revision": source.revision,
        "fingerprints": {name: images.fingerprint for name, images in parts.items()},
        "splits": {name: origin.to_dict() for name, origin in splits.origin.items()},
        **({} if weights is None else {"backbone": describe_weights(weights)}),
        **recorded_layout(source.layout),
    }
    few = sum(map(len, parts.values())) <= MAX_IMAGES
    hashes = {name: np.sort(image_hashes(images)) for name, images in parts.items()} if few else None
    run_folder.describe(provenance, parts, hashes)


def _augmentation(config: RunConfig, stage: str) -> Augmentation:
    """Return the augmentation in force in a stage."""
    options = config.augmentation
    if stage == "probe":
        online = config.probe.features == "online"
        return Augmentation(config.augment(stage), options.random_erasing if online else 0.0)
    return Augmentation(config.augment(stage), options.random_erasing, options.mixup, options.cutmix)


def _metrics(
    stage: str,
    config: RunConfig,
    source: Source,
    splits: Splits,
    trained: Trained,
    temperature: float | None,
    seconds: float,
    memory: PeakMemory,
) -> StageMetrics:
    names, targets = source.label_names, splits.train.targets
    kind = ProbeSummary if stage == "probe" else FinetuneSummary
    train = kind(
        **trained.details,
        seconds=seconds,
        total_parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        processes=processes.count(),
        peak_memory_mb=memory.megabytes,
    )
    workers = getattr(config, stage).training.get("dataloader_num_workers")
    robustness = None
    if config.evaluation.robustness:
        robustness = measure_robustness(trained.model, trained.processor, splits.test, config.seed, workers=workers)
    return StageMetrics(
        stage=stage,
        model=describe_weights(trained.weights),
        weights=trained.weights,
        base_model=trained.base_model,
        seed=config.seed,
        dataset=DatasetInfo(
            id=source.name,
            kind=source.kind,
            revision=source.revision,
            fingerprint=splits.train.fingerprint,
            num_train=len(splits.train),
            num_validation=len(splits.validation),
            num_test=len(splits.test),
            train_per_class={name: int((targets == label).sum()) for label, name in enumerate(names)},
            num_corrupt=splits.num_corrupt,
            splits=splits.origin,
            label_column=source.layout.label_column if source.layout is not None else None,
        ),
        test=compute_metrics(trained.test_logits, splits.test.targets, names, temperature),
        validation=compute_metrics(trained.validation_logits, splits.validation.targets, names, temperature),
        train=train,
        robustness=robustness,
        hardware=hardware(trained.model.device),
        versions=versions(),
    )

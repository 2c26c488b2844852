"""`--stage probe`, `finetune` and `lpft`: train, measure and save, from a request to what the run leaves behind."""

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from transformers import set_seed

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.layout import recorded_layout
from hf_cifar.errors import InputError
from hf_cifar.evaluation.figures.augmentation import augmentation_figure
from hf_cifar.evaluation.validation_metrics import validation_metrics
from hf_cifar.models.anatomy import find_layers
from hf_cifar.models.base_model import metrics_beside
from hf_cifar.models.build import build_model
from hf_cifar.models.native import to_native
from hf_cifar.models.predict import predict_logits
from hf_cifar.run.origins import StartKind, WeightsOrigin
from hf_cifar.run.request import Request
from hf_cifar.run.result import StageResult
from hf_cifar.run.run_folder import RunFolder
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.train_summary import Augmentation
from hf_cifar.run.verdicts import Verdict
from hf_cifar.run.wording import describe_start, describe_weights
from hf_cifar.stages.closing import say_stage
from hf_cifar.stages.preprocessing import fitted_processor
from hf_cifar.stages.tracked import log_to_trackers
from hf_cifar.stages.trained_model import TrainedModel, measure_and_save
from hf_cifar.stages.training_data import TrainingData, load_training_data
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


def run_training(request: Request, data: TrainingData | None = None) -> StageResult:
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


def _run_stages(request: Request, run_folder: RunFolder, data: TrainingData | None) -> StageResult:
    config = request.config
    # Arguments that do not fit are refused now, and not when the stages before them are done.
    makers = {"probe": probe_arguments, "finetune": finetune_arguments}
    arguments = {stage: makers[stage](config, run_folder.stage(stage)) for stage in config.stages}
    result: StageResult | None = None
    checked = False
    said: list[Verdict] = []
    for stage in config.stages:
        metrics = run_folder.finished(stage) if config.resume else None
        if metrics is not None:
            say(f"{stage} in {run_folder.path} is finished already")
        else:
            data = data or load_training_data(config)
            if not checked:
                run_folder.refuse_other_data(data.splits.parts())
                if "finetune" in arguments:
                    refuse_long_warmup(arguments["finetune"], len(data.splits.train))
                checked = True
            metrics = _run_stage(stage, request, data, run_folder, arguments[stage].device)
            done = StageResult(stage, run_folder.path, metrics)
            said += say_stage(done, said)
            log_to_trackers(done, arguments[stage])
            if stage != config.stages[-1]:
                say(f"model: {done.model_dir}; report: {done.report}")
        result = StageResult(stage, run_folder.path, metrics, result)
    assert result is not None
    return result


def _run_stage(
    stage: str, request: Request, data: TrainingData, run_folder: RunFolder, device: torch.device
) -> StageMetrics:
    """Run one training stage, save its model and its results, and return its metrics."""
    started, memory = time.perf_counter(), PeakMemory(device)
    config = request.config
    set_seed(seed_of_32_bits(config.seed))
    folder = run_folder.stage(stage)
    trained = (_probe if stage == "probe" else _finetune)(request, data, run_folder, folder)
    # The file says how long training took: what follows is measuring.
    seconds = time.perf_counter() - started
    return measure_and_save(stage, config, data, trained, folder, seconds, memory)


def _probe(request: Request, data: TrainingData, run_folder: RunFolder, folder: StageFolder) -> TrainedModel:
    config, source, splits = request.config, data.source, data.splits
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
    claim(run_folder, data, built.origin)
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
    return TrainedModel(built.model, processor, built.origin, built.base_model, *logits, details)


def _finetune(request: Request, data: TrainingData, run_folder: RunFolder, folder: StageFolder) -> TrainedModel:
    config, source, splits = request.config, data.source, data.splits
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
        claim(run_folder, data, start.weights)
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
        "checkpoint_wait_seconds": result.checkpoint_wait_seconds,
    }
    test = predict_logits(result.model, processor, splits.test, "predicting test")
    logits = result.validation_logits, test
    probe = _probe_before(request, run_folder, start.origin.kind)
    return TrainedModel(result.model, processor, start.weights, start.base_model, *logits, details, probe)


def _probe_before(request: Request, run_folder: RunFolder, start: StartKind) -> StageFolder | None:
    """Return the folder of the probe that fine-tuning starts from; None where it starts from something else."""
    if start is StartKind.PROBE:
        return run_folder.stage("probe")
    if start is not StartKind.CHECKPOINT or request.model is None:
        return None
    made_by = metrics_beside(request.model.name)
    is_probe = made_by is not None and made_by.stage == "probe"
    return StageFolder(Path(request.model.name).expanduser().parent) if is_probe else None


def claim(run_folder: RunFolder, data: TrainingData, weights: WeightsOrigin | None) -> None:
    """Take the folder and describe the run in it, once nothing about the request can be wrong any more."""
    run_folder.claim()
    parts = data.splits.parts()
    provenance = {
        "dataset": data.source.name,
        "dataset_revision": data.source.revision,
        "fingerprints": {name: images.fingerprint for name, images in parts.items()},
        "splits": {name: origin.to_dict() for name, origin in data.splits.origin.items()},
        **({} if weights is None else {"backbone": describe_weights(weights)}),
        **recorded_layout(data.source.layout),
    }
    hashes = None if data.hashes is None else {name: np.sort(values) for name, values in data.hashes.items()}
    run_folder.describe(provenance, parts, hashes)


def _augmentation(config: RunConfig, stage: str) -> Augmentation:
    """Return the augmentation in force in a stage."""
    options = config.augmentation
    if stage == "probe":
        online = config.probe.features == "online"
        return Augmentation(config.augment(stage), options.random_erasing if online else 0.0)
    return Augmentation(config.augment(stage), options.random_erasing, options.mixup, options.cutmix)

"""`--stage evaluate`: any classifier on any labelled images, whose classes are matched by name."""

import shutil
import time
from dataclasses import replace
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.audit.leaks import LeakFilter
from hf_cifar.data.evaluation_split import EvaluationSplit, evaluation_split, is_own_data
from hf_cifar.data.label_names import match_labels
from hf_cifar.data.sources import Source, load_source
from hf_cifar.errors import InputError
from hf_cifar.evaluation.artifacts import label_names, save_artifacts
from hf_cifar.evaluation.calibration import fit_temperature
from hf_cifar.evaluation.compute_metrics import compute_metrics
from hf_cifar.evaluation.robustness import measure_robustness
from hf_cifar.formats.exported import file_of
from hf_cifar.models.load import load_checkpoint
from hf_cifar.models.predict import predict_logits
from hf_cifar.run.environment import hardware, moment, versions
from hf_cifar.run.prediction_sets import SETS_FILE, PredictionSets
from hf_cifar.run.request import Request
from hf_cifar.run.result import StageResult
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import DatasetInfo, StageMetrics
from hf_cifar.run.wording import describe_split
from hf_cifar.stages.closing import say_stage
from hf_cifar.stages.ood_detection import measured_ood, refuse_calibration_split
from hf_cifar.utils import processes
from hf_cifar.utils.progress import say

STAGE = "evaluate"


def run_evaluation(request: Request) -> StageResult:
    """Evaluate the request's checkpoint, by default the run in the output folder, on a split of the dataset.

    Returns:
        What `OUTPUT_DIR/evaluate` holds.

    Raises:
        InputError: no such model, images or split; labels that the model does not know; or a folder in use.
    """
    config, location = request.config, request.checkpoint
    folder = StageFolder(config.folder / STAGE)
    if folder.metrics.is_file() and not config.overwrite:
        raise InputError(f"{folder.path} holds an evaluation already: --overwrite replaces it, or give --output-dir")
    processes.join(use_cpu=config.use_cpu)
    started = time.perf_counter()
    source = load_source(config.data, for_training=False)
    split = evaluation_split(source, config.data, config.split_seed, config.evaluation.split, request.trained_by)
    refuse_calibration_split(request, split)
    leaks = _leaks(request, source, split)
    model, processor = load_checkpoint(location, use_cpu=config.use_cpu)
    names = label_names(model)
    classes = match_labels(source.label_names, names)
    found = f" ({source.layout.describe()})" if source.layout is not None else ""
    say(f"model: {location.full_name}; data: {source.name}{found}, {split.name}, {_describe(split)}")
    images = replace(split.images, labels=classes[split.images.labels])
    logits = predict_logits(model, processor, images, f"predicting {split.name}", config.num_workers)
    temperature, temperature_origin = _temperature(request, source, split.name, model, processor, classes)
    robustness = None
    if config.evaluation.robustness:
        robustness = measure_robustness(model, processor, images, config.seed, workers=config.num_workers)
    ood = measured_ood(request, source, images, logits, model, processor)
    seconds = time.perf_counter() - started  # without the import of scikit-learn, which the metrics wait for
    sets_file = file_of(location, SETS_FILE) if split.name not in ("train", "validation") else None
    sets = PredictionSets.read(sets_file) if sets_file else None
    metrics = StageMetrics(
        stage=STAGE,
        model=location.full_name,
        model_dir=location.full_name,
        split=split.name,
        seed=config.seed,
        dataset=_dataset(source, split),
        temperature_origin=temperature_origin,
        test=compute_metrics(logits, images.targets, names, temperature),
        robustness=robustness,
        prediction_sets=sets.measure(logits, images.targets, _stored_temperature(model)) if sets else None,
        without_leaks=leaks.measure(images, logits, _seen(request, source, split)) if leaks is not None else None,
        ood=ood,
        seconds=seconds,
        finished=moment(),
        hardware=hardware(model.device),
        versions=versions(),
    )
    if processes.is_main():
        shutil.rmtree(folder.path, ignore_errors=True)
        save_artifacts(folder, metrics, logits, images, model, processor)
    processes.wait_for_all()
    result = StageResult(STAGE, config.folder, metrics)
    say_stage(result)
    say(f"report: {folder.report}")
    return result


def _leaks(request: Request, source: Source, split: EvaluationSplit) -> LeakFilter | None:
    """Return the twins that are to be left out, once nothing about that can be wrong."""
    place = request.config.evaluation.exclude_leaks
    if place is None:
        return None
    run = request.trained_by
    if split.name not in ("validation", "test"):
        raise InputError(f"--exclude-leaks is for the validation or test split, not for --split {split.name}")
    if run is not None and not is_own_data(source, run):
        raise InputError(
            "--exclude-leaks: the model was trained on other data than this dataset, and an audit lists the twins of "
            "one: leave the option out"
        )
    if run is None and "train" not in source.splits:
        raise InputError("--exclude-leaks: the dataset has no train split that images could have twins in")
    leaks = LeakFilter.read(place)
    used = {split.images.name, *(name for name, _ in _seen(request, source, split))}
    leaks.refuse_other_data(source.splits[name] for name in used)
    return leaks


def _seen(request: Request, source: Source, split: EvaluationSplit) -> list[tuple[str, list[int]]]:
    """Return the images that the model was trained or chosen on: its run's, or the dataset's train split."""
    run = request.trained_by
    if run is None:
        rows = range(len(source.splits["train"].labels))
        measured = set(split.images.index.tolist()) if split.images.name == "train" else set()
        return [("train", [row for row in rows if row not in measured])]
    parts = {name: part for name, part in run.splits.items() if name in ("train", "validation") and name != split.name}
    return [(part.split, part.rows) for part in parts.values()]


def _describe(split: EvaluationSplit) -> str:
    """Return how many images are measured, where they come from, and how many of them the model was trained on."""
    words = f"{len(split.images):,} images ({describe_split(split.origin)})"
    if split.num_left_out:
        words += f"; {split.num_left_out:,} images that the model was trained on are left out"
    if split.num_trained_on:
        words += f"; warning: the model was trained on {split.num_trained_on:,} of them"
    return words


def _dataset(source: Source, split: EvaluationSplit) -> DatasetInfo:
    return DatasetInfo(
        id=source.name,
        kind=source.kind,
        revision=source.revision,
        fingerprint=split.images.fingerprint,
        num_test=len(split.images),
        num_corrupt={"test": split.num_corrupt} if split.num_corrupt else {},
        splits={"test": split.origin},
        num_trained_on=split.num_trained_on,
        num_left_out=split.num_left_out,
        label_column=source.layout.label_column if source.layout is not None else None,
    )


def _stored_temperature(model: PreTrainedModel) -> float | None:
    stored = getattr(model.config, "calibration_temperature", None)
    return None if stored is None else float(stored)


def _temperature(
    request: Request, source: Source, split: str, model: PreTrainedModel, processor: Any, classes: np.ndarray
) -> tuple[float | None, str | None]:
    """Return the temperature stored with the model, else one fitted on a validation split that the source publishes."""
    stored = _stored_temperature(model)
    if stored is not None:
        return stored, "fitted on validation when the model was trained, and stored with it"
    if "validation" not in source.splits or split != "test" or "test" not in source.splits:
        return None, None
    config = request.config
    validation = evaluation_split(source, config.data, config.split_seed, "validation", run=None).images
    targets = classes[validation.targets]
    logits = predict_logits(model, processor, validation, "predicting validation", config.num_workers)
    return fit_temperature(logits, targets), f"fitted on the dataset's validation split, {len(validation):,} images"

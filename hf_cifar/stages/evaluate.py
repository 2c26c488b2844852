"""The evaluate stage: any classifier on any labelled images, whose classes are matched by name."""

import shutil
import time
from dataclasses import replace
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.config.locate import locate_checkpoint
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.label_names import match_labels
from hf_cifar.data.sources import Source, load_source
from hf_cifar.data.splits import evaluation_images
from hf_cifar.errors import InputError
from hf_cifar.evaluation.artifacts import label_names, record
from hf_cifar.evaluation.calibration import fit_temperature
from hf_cifar.evaluation.compute_metrics import evaluate_logits
from hf_cifar.evaluation.robustness import measure_robustness
from hf_cifar.models.load import load_checkpoint
from hf_cifar.models.predict import predict_logits
from hf_cifar.run.environment import hardware, versions
from hf_cifar.run.result import StageResult
from hf_cifar.run.run_folder import run_of
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.utils.progress import say

STAGE = "evaluate"


def run_evaluation(config: RunConfig) -> StageResult:
    """Measure `config.checkpoint`, by default the run in the output folder, on a split of the dataset.

    Returns:
        What `OUTPUT_DIR/evaluate` holds.

    Raises:
        InputError: no such model, images or split; labels that the model does not know; or a folder in use.
    """
    folder = StageFolder(config.folder / STAGE)
    if folder.metrics.is_file() and not config.overwrite:
        raise InputError(f"{folder.path} holds an evaluation already: --overwrite replaces it, or give --output-dir")
    begun = time.perf_counter()
    location = locate_checkpoint(config.checkpoint or str(config.folder))
    source = load_source(config.data, for_training=False)
    images, split, origin = _images(config, source)
    model, processor = load_checkpoint(location, use_cpu=bool(config.computing.get("use_cpu", False)))
    names = label_names(model)
    positions = match_labels(source.label_names, names)
    say(f"model: {location.name}; images: {source.name}, {split}, {len(images):,} ({origin})")
    workers = config.computing.get("dataloader_num_workers")
    images = replace(images, labels=positions[images.labels])
    logits = predict_logits(model, processor, images, f"predicting {split}", workers)
    temperature, temperature_origin = _temperature(config, source, split, model, processor, positions)
    metrics: dict[str, Any] = {
        "stage": STAGE,
        "model": location.name,
        "model_dir": location.name,
        "split": split,
        "seed": config.seed,
        "dataset": {
            "id": source.name,
            "revision": source.revision,
            "fingerprint": images.fingerprint,
            "num_test": len(images),
            "splits": {"test": origin},
        },
        "temperature_origin": temperature_origin,
        "test": evaluate_logits(logits, images.targets, names, temperature, sorted({*positions.tolist()})),
    }
    if config.evaluation.robustness:
        metrics["robustness"] = measure_robustness(model, processor, images, config.seed, workers=workers)
    metrics |= {
        "seconds": time.perf_counter() - begun,
        "hardware": hardware(model.device),
        "versions": versions(),
    }
    shutil.rmtree(folder.path, ignore_errors=True)
    record(folder, metrics, logits, images, model, processor)
    result = StageResult(STAGE, config.folder, metrics)
    say(result.headline())
    say(f"report: {folder.report}")
    return result


def _images(config: RunConfig, source: Source) -> tuple[LabeledImages, str, str]:
    """The images to measure on, what they are called, and where they come from, in words."""
    run = run_of(config.checkpoint or str(config.folder))
    own = run is not None and run.data.dataset == config.data.dataset
    return evaluation_images(source, config.data, config.seed, config.evaluation.split, own)


def _temperature(
    config: RunConfig, source: Source, split: str, model: PreTrainedModel, processor: Any, positions: np.ndarray
) -> tuple[float | None, str | None]:
    """The temperature that the model brings along, else one fitted on a validation split that the source publishes."""
    stored = getattr(model.config, "calibration_temperature", None)
    if stored is not None:
        return float(stored), "fitted on validation when the model was trained, and stored with it"
    published = source.splits.get("validation")
    if published is None or split != "test" or "test" not in source.splits:
        return None, None
    images, _, _ = evaluation_images(source, config.data, config.seed, "validation", own=False)
    targets = positions[images.targets]
    logits = predict_logits(model, processor, images, "predicting validation")
    return fit_temperature(logits, targets), f"fitted on the source's validation split, {len(images):,} images"

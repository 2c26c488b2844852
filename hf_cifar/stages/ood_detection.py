"""Out-of-distribution scores in the stages that measure: thresholds beside the model, and what they are worth."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.config.parts import ENERGY
from hf_cifar.data.evaluation_split import EvaluationSplit, is_own_data
from hf_cifar.data.foreign_images import foreign_images
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.evaluation.ood_detection import measure_ood
from hf_cifar.formats.exported import file_of
from hf_cifar.models.calibrate import DIVIDED_BY
from hf_cifar.models.predict import predict_logits
from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.ood_scores import ENERGY_FILE, EnergyThreshold, energy
from hf_cifar.run.resolve import Request
from hf_cifar.utils import processes
from hf_cifar.utils.progress import say


def refuse_calibration_split(request: Request, split: EvaluationSplit) -> None:
    """Refuse to measure a score on images that trained the model or gave its threshold.

    Raises:
        InputError: names the split.
    """
    if request.config.evaluation.ood_score is not None and split.name in ("train", "validation"):
        raise InputError(
            f"--ood-score with --split {split.name}: images that trained the model, or gave its threshold, are no "
            "measure of it; use --split test"
        )


def energy_of_training(
    model: PreTrainedModel,
    processor: Any,
    images: LabeledImages,
    logits: np.ndarray,
    threshold: EnergyThreshold,
    seed: int,
    workers: int | None,
) -> OodMetrics:
    """Measure the energy score of a model that has just been trained.

    Args:
        model: in eval mode.
        processor: the image processor that is saved with it.
        images: of the test split.
        logits: of them, float32 [n, labels].
        threshold: from the validation split.
        seed: of the corruptions.
        workers: of the loader.
    """
    scorer = _Energy(model, processor, workers)
    return measure_ood(ENERGY, scorer, images, scorer.of(logits), processor, seed, threshold.threshold)


def measured_ood(
    request: Request,
    source: Source,
    images: LabeledImages,
    logits: np.ndarray,
    model: PreTrainedModel,
    processor: Any,
) -> OodMetrics | None:
    """Measure the score that an evaluation asks for; None where it asks for none.

    A threshold that is not beside the model yet is taken from the validation images of its run, and written there.

    Args:
        request: of the evaluation.
        source: the dataset.
        images: that are evaluated.
        logits: of them, float32 [n, labels].
        model: in eval mode.
        processor: the image processor that is saved with it.
    """
    config = request.config
    asked = config.evaluation
    if asked.ood_score is None:
        return None
    foreign = None
    if asked.ood_dataset is not None:
        foreign = foreign_images(asked.ood_dataset, config.data.max_eval_samples, config.seed, config.data.skip_corrupt)
    scorer = _Energy(model, processor, config.num_workers)
    threshold = _energy_threshold(request, source, scorer)
    kept = None if threshold is None else threshold.threshold
    return measure_ood(ENERGY, scorer, images, scorer.of(logits), processor, config.seed, kept, foreign)


class _Energy:
    """Computes the energies of images by a model, as `ComputeScores` has it."""

    def __init__(self, model: PreTrainedModel, processor: Any, workers: int | None) -> None:
        self.model = model
        self.processor = processor
        self.workers = workers

    def __call__(self, images: LabeledImages, transform: Transform, title: str) -> np.ndarray:
        return self.of(predict_logits(self.model, self.processor, images, title, self.workers, transform))

    def of(self, logits: np.ndarray) -> np.ndarray:
        """Return the energies of logits of this model."""
        return energy(logits, getattr(self.model.config, DIVIDED_BY, None))


def _energy_threshold(request: Request, source: Source, scorer: _Energy) -> EnergyThreshold | None:
    """Return the threshold beside the model; where there is none, take it from its run and write it there."""
    file = file_of(request.checkpoint, ENERGY_FILE)
    if file is not None:
        return EnergyThreshold.read(file)
    validation = _images_of_run(request, source, "validation")
    if validation is None:
        return None
    scores = scorer(validation, Transform(scorer.processor), "predicting validation")
    threshold = EnergyThreshold.calibrate(scores)
    if request.checkpoint.kind == "folder" and processes.is_main():
        folder = Path(request.checkpoint.name)
        try:
            threshold.write(folder)
            say(f"threshold of the energy score, from {threshold.num_examples:,} validation images: {folder}")
        except OSError as error:
            say(f"warning: {folder / ENERGY_FILE} cannot be written ({error.strerror}): predict has no threshold")
    return threshold


def _images_of_run(request: Request, source: Source, name: str) -> LabeledImages | None:
    """Return a split of the run that trained the model, if it was trained on this dataset."""
    run = request.trained_by
    if run is None or not is_own_data(source, run) or name not in run.splits:
        return None
    part = run.splits[name]
    return replace(source.splits[part.split], index=np.array(part.rows, dtype=np.int64), part=name)

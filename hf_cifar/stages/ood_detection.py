"""Out-of-distribution scores in the stages that measure: thresholds beside the model, and what they are worth."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.config.options.evaluation import ENERGY, KNN
from hf_cifar.data.evaluation_split import EvaluationSplit, is_own_data
from hf_cifar.data.foreign_images import foreign_images
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.data.splits import stratified_choice
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.evaluation.ood_detection import measure_ood
from hf_cifar.formats.exported import file_of
from hf_cifar.models.calibrate import DIVIDED_BY
from hf_cifar.models.predict import predict_features, predict_logits
from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.ood_neighbours import KNN_FILE, MOST_FEATURES, FeatureBank
from hf_cifar.run.ood_scores import ENERGY_FILE, EnergyThreshold, energy
from hf_cifar.run.request import Request
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

    A threshold that is not beside the model yet is taken from the validation images of its run, and written there; for
    knn so are features of training images.

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
    if asked.ood_score == KNN:
        bank = _feature_bank(request, source, model, processor)
        distances = _Distances(model, bank, config.num_workers)
        transform = Transform(processor)
        found = distances(images, transform, "knn score of the images")
        metrics = measure_ood(KNN, distances, images, found, processor, config.seed, bank.threshold, foreign)
        return replace(metrics, num_features=len(bank.features))
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
    title = f"threshold of the energy score, from {threshold.num_examples:,} validation images"
    _write_beside(request, threshold, title)
    return threshold


def _feature_bank(request: Request, source: Source, model: PreTrainedModel, processor: Any) -> FeatureBank:
    """Return the features beside the model; where there are none, take them from its run and write them there."""
    file = file_of(request.checkpoint, KNN_FILE)
    if file is not None:
        return FeatureBank.read(file)
    train, validation = (_images_of_run(request, source, name) for name in ("train", "validation"))
    if train is None or validation is None:
        raise InputError(
            f"--ood-score knn: {request.checkpoint.full_name} has no {KNN_FILE}, and the images that it was trained on "
            "are not at hand: evaluate the run on its own data first, or use --ood-score energy"
        )
    config, transform = request.config, Transform(processor)
    chosen = train.select(stratified_choice(train.targets, min(MOST_FEATURES, len(train)), config.seed))
    parts = [
        predict_features(model, transform, part, f"features of {name}", config.num_workers)
        for name, part in (("train", chosen), ("validation", validation))
    ]
    bank = FeatureBank.calibrate(*parts)
    _write_beside(request, bank, f"features of {len(chosen):,} training images")
    return bank


def _write_beside(request: Request, found: EnergyThreshold | FeatureBank, title: str) -> None:
    """Write a threshold, or features, beside a model that is in a folder."""
    if request.checkpoint.kind != "folder" or not processes.is_main():
        return
    folder = Path(request.checkpoint.name)
    try:
        found.write(folder)
        say(f"{title}: in {folder}")
    except OSError as error:
        say(f"warning: nothing can be written to {folder} ({error.strerror}): predict has no threshold")


class _Distances:
    """Computes the distances of images to the features of training images, as `ComputeScores` has it."""

    def __init__(self, model: PreTrainedModel, bank: FeatureBank, workers: int | None) -> None:
        self.model = model
        self.bank = bank
        self.workers = workers

    def __call__(self, images: LabeledImages, transform: Transform, title: str) -> np.ndarray:
        return self.bank.distances(predict_features(self.model, transform, images, title, self.workers))


def _images_of_run(request: Request, source: Source, name: str) -> LabeledImages | None:
    """Return a split of the run that trained the model, if it was trained on this dataset."""
    run = request.trained_by
    if run is None or not is_own_data(source, run) or name not in run.splits:
        return None
    part = run.splits[name]
    return replace(source.splits[part.split], index=np.array(part.rows, dtype=np.int64), part=name)

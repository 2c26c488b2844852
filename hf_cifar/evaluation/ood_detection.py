"""Measure how well a score tells images unlike those of training apart: corrupted ones, and those of other datasets."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from hf_cifar.data.foreign_images import ForeignImages
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.transforms import Picture, Transform
from hf_cifar.evaluation.corruptions import corrupt
from hf_cifar.run.ood_metrics import OodComparison, OodMetrics
from hf_cifar.run.ood_scores import threshold_of

# One of each group of ImageNet-C: noise, blur, weather, digital.
CORRUPTED = ("gaussian_noise", "defocus_blur", "fog", "contrast")
SEVERITY = 5

# Computes the scores of images, float [n], given what makes the network's input and the title of the progress bar.
ComputeScores = Callable[[LabeledImages, Transform, str], np.ndarray]


class OneCorruption(Transform):
    """Transform of images that are corrupted first.

    Args:
        processor: a `transformers` image processor.
        name: of the corruption.
        seed: with the row of the image it fixes the random draws.
    """

    def __init__(self, processor: Any, name: str, seed: int) -> None:
        super().__init__(processor)
        self.name = name
        self.seed = seed

    def prepare(self, images: Sequence[Picture], rows: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """Return the corrupted images as `Transform.prepare` does."""
        pictures = [image if isinstance(image, Image.Image) else Image.fromarray(image) for image in images]
        corrupted: list[Picture] = [
            corrupt(picture, self.name, SEVERITY, self.seed, int(row))
            for picture, row in zip(pictures, rows, strict=True)
        ]
        return super().prepare(corrupted, rows)


def measure_ood(
    score: str,
    compute: ComputeScores,
    images: LabeledImages,
    scores: np.ndarray,
    processor: Any,
    seed: int,
    threshold: float | None,
    foreign: ForeignImages | None = None,
) -> OodMetrics:
    """Compare the scores of images with those of the same images corrupted, and of foreign ones.

    Args:
        score: its name.
        compute: the scores of other images.
        images: in-distribution ones, that trained and calibrated nothing.
        scores: float [n], of them.
        processor: the image processor that is saved with the model.
        seed: of the random draws of the corruptions.
        threshold: that is stored beside the model.
        foreign: images of another dataset.
    """
    others: list[tuple[str, LabeledImages, Transform]] = [
        (name, images, OneCorruption(processor, name, seed)) for name in CORRUPTED
    ]
    if foreign is not None:
        others.append((foreign.name, foreign.images, Transform(processor)))
    compared = []
    for name, other, transform in others:
        theirs = compute(other, transform, f"{score} score of {name}")
        measured = auroc(scores, theirs), fpr95(scores, theirs)
        compared.append(OodComparison(name, other is images, len(theirs), *measured))
    kept = None if threshold is None else float(np.mean(scores <= threshold))
    return OodMetrics(score, len(scores), SEVERITY, seed, threshold, kept, compared)


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return the probability that an out-of-distribution image has the higher score; of equal ones half counts.

    Args:
        inside: float [n], scores of in-distribution images.
        outside: float [m], of out-of-distribution ones.
    """
    from sklearn.metrics import roc_auc_score

    is_out = np.repeat([0, 1], [len(inside), len(outside)])
    return float(roc_auc_score(is_out, np.concatenate([inside, outside])))


def fpr95(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return the fraction of out-of-distribution images that is kept where 95 % of the others are; as `auroc`."""
    return float(np.mean(outside <= threshold_of(inside)))

"""Sets of labels that hold the right one as often as asked: split conformal prediction with RAPS.

Angelopoulos, Bates, Malik and Jordan, "Uncertainty Sets for Image Classifiers using Conformal Prediction", ICLR 2021.
The libraries for it stand on torch or scikit-learn; sets are made where neither is, so the few lines are here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.errors import InputError
from hf_cifar.run.stage_metrics import SetCoverage
from hf_cifar.utils.files import write_json

SETS_FILE = "prediction_sets.json"  # beside a model
METHOD = "RAPS"
# The paper's for ImageNet, fixed so that no image is spent on choosing them: each label after the fifth costs more.
PENALTY = 0.01
FREE_RANKS = 5
LEVELS = (0.9, 0.95, 0.99)  # coverages that are measured on test
MOST_SCORES = 10_000  # that are kept; of more, every second, third, … from the top
DIGITS = 6  # that a score is rounded up to


@dataclass(frozen=True)
class PredictionSets:
    """What the sets of a model are made by: the scores of images that it was not trained on.

    The score of a label is the probability of the labels that are more likely, and a penalty for each rank after the
    fifth. A set holds the labels whose score is at most that of the right label in all but 1 - coverage of the
    calibration images. The paper adds a random part of the label's own probability; without it the same image always
    gets the same set, and no set is empty.

    Attributes:
        num_examples: calibration images.
        scores: of their right labels, ascending; every `stride`-th of them, and the largest.
        stride: between two of them.
    """

    num_examples: int
    scores: tuple[float, ...]
    stride: int = 1

    @classmethod
    def calibrate(cls, logits: np.ndarray, labels: np.ndarray, temperature: float | None) -> "PredictionSets":
        """Take the scores of images that the model was not trained on: the validation split.

        Args:
            logits: float [n, labels].
            labels: int [n].
            temperature: that calibrates the logits; None: none.
        """
        ranked, ranks = _ranked_scores(logits, temperature)
        own = np.sort(ranked[np.arange(len(labels)), ranks[np.arange(len(labels)), labels]])
        stride = -(-len(own) // MOST_SCORES)
        kept = np.unique(np.append(np.arange(stride - 1, len(own), stride), len(own) - 1))
        rounded = np.ceil(own[kept] * 10**DIGITS) / 10**DIGITS
        return cls(len(own), tuple(float(value) for value in rounded), stride)

    def threshold(self, coverage: float) -> float:
        """Return the largest score of a label in a set; infinite where so few images allow no smaller one."""
        rank = int(np.ceil((self.num_examples + 1) * coverage - 1e-9))
        if rank > self.num_examples:
            return float("inf")
        return self.scores[min(-(-rank // self.stride), len(self.scores)) - 1]

    def of(self, logits: np.ndarray, coverage: float, temperature: float | None) -> list[np.ndarray]:
        """Return the labels in the set of each image, the most likely first.

        Args:
            logits: float [n, labels].
            coverage: asked for, between 0 and 1.
            temperature: that calibrates these logits; None where it is none, or they are calibrated.
        """
        ranked, ranks = _ranked_scores(logits, temperature)
        sizes = (ranked <= self.threshold(coverage)).sum(axis=1)
        order = np.argsort(ranks, axis=1, kind="stable")
        return [row[:size] for row, size in zip(order, sizes, strict=True)]

    def measure(self, logits: np.ndarray, labels: np.ndarray, temperature: float | None) -> list[SetCoverage]:
        """Measure coverage and size at every level of `LEVELS`, on images that calibrated nothing."""
        found = []
        for level in LEVELS:
            sets = self.of(logits, level, temperature)
            holds = [label in row for row, label in zip(sets, labels, strict=True)]
            sizes = [len(row) for row in sets]
            found.append(SetCoverage(level, float(np.mean(holds)), float(np.mean(sizes)), len(sets)))
        return found

    def write(self, model: Path) -> None:
        """Write them beside a model."""
        values = {"method": METHOD, "penalty": PENALTY, "free_ranks": FREE_RANKS, "num_examples": self.num_examples}
        write_json(model / SETS_FILE, {**values, "stride": self.stride, "scores": list(self.scores)})

    @classmethod
    def read(cls, file: Path) -> "PredictionSets":
        """Read what `write` has written.

        Raises:
            InputError: the file cannot be read, or is of another method.
        """
        try:
            values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            method = values["method"], values["penalty"], values["free_ranks"]
            scores = tuple(float(value) for value in values["scores"])
            read = cls(int(values["num_examples"]), scores, int(values["stride"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} cannot be read ({str(error)[:150]}): train the model again") from error
        if method != (METHOD, PENALTY, FREE_RANKS) or list(scores) != sorted(scores) or read.stride < 1:
            raise InputError(f"{file} is of another method, or damaged: train the model again")
        return read


def _ranked_scores(logits: np.ndarray, temperature: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the score at each rank, float64 [n, labels] ascending, and the rank of each label, int [n, labels]."""
    scaled = logits.astype(np.float64) / (temperature or 1.0)
    scaled -= scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled)
    order = np.argsort(-scaled, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    probabilities = np.take_along_axis(exponentials / exponentials.sum(axis=1, keepdims=True), order, axis=1)
    penalties = PENALTY * np.maximum(np.arange(1, logits.shape[1] + 1) - FREE_RANKS, 0)
    before = np.cumsum(probabilities, axis=1) - probabilities
    before[:, 0] = 0.0  # exactly, so that the most likely label is in every set
    return before + penalties, ranks

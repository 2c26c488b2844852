"""Choose on validation: the selection metrics, and the best of several candidates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hf_cifar.utils.formatting import error, percent
from hf_cifar.utils.logits import negative_log_likelihoods

# The metrics of `--selection-metric`, and whether a higher value is better.
GREATER_IS_BETTER = {"accuracy": True, "balanced_accuracy": True, "f1_macro": True, "nll": False}


@dataclass(frozen=True)
class Score:
    """How good some logits are, by every selection metric.

    Attributes:
        accuracy: a fraction.
        balanced_accuracy: mean over the classes that have images of the fraction of them that is right.
        f1_macro: mean F1 over all classes; a class that is neither predicted nor there counts as 0.
        nll: mean cross-entropy in nats.
    """

    accuracy: float
    balanced_accuracy: float
    f1_macro: float
    nll: float

    def by(self, metric: str) -> float:
        """Return the value of a selection metric."""
        value: float = asdict(self)[metric]
        return value


WORST = Score(0.0, 0.0, 0.0, float("inf"))


def score(logits: np.ndarray, labels: np.ndarray) -> Score:
    """Return the score of some logits; `WORST` where they are not finite.

    Args:
        logits: float [n, labels].
        labels: int64 [n].
    """
    if not np.isfinite(logits).all():
        return WORST
    predictions, classes = logits.argmax(axis=1), logits.shape[1]
    hits, images, predicted = (
        np.bincount(some, minlength=classes) for some in (labels[predictions == labels], labels, predictions)
    )
    there = images > 0
    return Score(
        float((predictions == labels).mean()),
        float((hits[there] / images[there]).mean()),
        float((2 * hits / np.maximum(images + predicted, 1)).mean()),
        float(negative_log_likelihoods(logits, labels).mean()),
    )


def best_of(scores: Sequence[Score], metric: str = "accuracy") -> int:
    """Return the index of the best by a selection metric; among equal ones, of the lowest cross-entropy."""
    sign = -1 if GREATER_IS_BETTER[metric] else 1
    return min(range(len(scores)), key=lambda index: (sign * scores[index].by(metric), scores[index].nll))


def best_candidate(scores: Sequence[Score], metric: str, images: int) -> int:
    """Return the index of the best of several heads, which few validation images cannot tell apart by accuracy alone.

    By accuracy, it is the lowest cross-entropy among those within one standard error of the highest, as Breiman et al.
    (1984, "Classification and Regression Trees") choose a tree: the cross-entropy sees more of each image than whether
    its label is right. By another metric, it is that of `best_of`.

    Args:
        scores: of the heads, on validation.
        metric: of `--selection-metric`.
        images: of validation.
    """
    if metric != "accuracy":
        return best_of(scores, metric)
    highest = max(scored.accuracy for scored in scores)
    lowest = highest - (highest * (1 - highest) / images) ** 0.5
    near = [index for index, scored in enumerate(scores) if scored.accuracy >= lowest]
    return near[best_of([scores[index] for index in near], "nll")]


def num_close(scores: Sequence[Score], images: int) -> int:
    """Return how many candidates are at most one image less accurate than the most accurate, which is one of them.

    Args:
        scores: of the candidates, on validation.
        images: of validation.
    """
    highest = max(scored.accuracy for scored in scores)
    return sum(1 for scored in scores if round((highest - scored.accuracy) * images) <= 1)


def shown_metric(metric: str, value: float) -> str:
    """Return a selection metric with its name, as it is read: `accuracy 93.20%`, `nll 0.2131`."""
    return f"{metric} {percent(value) if GREATER_IS_BETTER[metric] else error(value)}"


def is_at_least(value: float, reference: float, metric: str) -> bool:
    """Return whether a value of a selection metric is as good as another, or better; NaN never is.

    Args:
        value, reference: of the metric.
        metric: a name in `GREATER_IS_BETTER`.
    """
    return value >= reference if GREATER_IS_BETTER[metric] else value <= reference

"""Choose on validation: the selection metrics, and the best of several candidates."""

from collections.abc import Sequence

import numpy as np

from hf_cifar.utils.logits import negative_log_likelihoods

# The metrics of `--selection-metric`, and whether a higher value is better.
GREATER_IS_BETTER = {"accuracy": True, "f1_macro": True, "nll": False}


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy in nats; 0 and infinity for logits that are not finite.

    Args:
        logits: float [n, labels].
        labels: int64 [n].
    """
    if not np.isfinite(logits).all():
        return 0.0, float("inf")
    accuracy = (logits.argmax(axis=1) == labels).mean()
    return float(accuracy), float(negative_log_likelihoods(logits, labels).mean())


def best_of(scores: Sequence[tuple[float, float]]) -> int:
    """Return the index of the highest accuracy; among equal ones, of the lowest cross-entropy."""
    return min(range(len(scores)), key=lambda index: (-scores[index][0], scores[index][1]))


def is_at_least(value: float, reference: float, metric: str) -> bool:
    """Return whether a value of a selection metric is as good as another, or better; NaN never is.

    Args:
        value, reference: of the metric.
        metric: a name in `GREATER_IS_BETTER`.
    """
    return value >= reference if GREATER_IS_BETTER[metric] else value <= reference

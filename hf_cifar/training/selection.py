"""Choose on validation: the metrics to choose by, and the best of several candidates."""

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax

# The metrics of `--selection-metric`, and whether a higher value is better.
GREATER_IS_BETTER = {"accuracy": True, "f1_macro": True, "nll": False}


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy, and mean cross-entropy in nats (infinite for logits that are not finite)."""
    if not np.isfinite(logits).all():
        return 0.0, float("inf")
    nll = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean()
    return float((logits.argmax(axis=1) == labels).mean()), float(nll)


def best_of(scores: Sequence[tuple[float, float]]) -> int:
    """The position of the highest accuracy; of equal ones, of the lowest cross-entropy."""
    return min(range(len(scores)), key=lambda place: (-scores[place][0], scores[place][1]))

"""Whether a model is as often right as it says: bins of confidence, their error, and the temperature that mends it."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15
MOST = 50.0  # how far from 1, as a factor, a temperature may lie


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """Confidence and accuracy over equal bins of confidence (the reliability diagram of Guo et al., 2017).

    Args:
        probabilities: float [n, labels].
        labels: int [n], the right classes.
        bins: how many, each open below and closed above.

    Returns:
        For each bin low, high, count, and the mean confidence and the accuracy in it, None where it is empty.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    sums = [np.bincount(bin_of, weights=values, minlength=bins) for values in (confidence, correct)]
    return [
        {
            "low": number / bins,
            "high": (number + 1) / bins,
            "count": int(count),
            "confidence": float(sums[0][number] / count) if count else None,
            "accuracy": float(sums[1][number] / count) if count else None,
        }
        for number, count in enumerate(counts)
    ]


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """The mean distance between confidence and accuracy over equal bins of confidence (Guo et al., 2017).

    Args:
        probabilities: float [n, labels].
        labels: int [n].
        bins: how many, each open below and closed above.
    """
    rows = [row for row in reliability(probabilities, labels, bins) if row["count"]]
    return float(sum(row["count"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / len(labels))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """The number that logits are to be divided by for the lowest NLL (temperature scaling; Guo et al., 2017).

    Args:
        logits: float [n, labels], of images that the model was not trained on: the validation split.
        labels: int [n].

    Returns:
        The temperature; None where there is no best one, such as where every image is answered rightly and the
        likelihood asks for ever more confidence.
    """
    logits, rows = logits.astype(np.float64), np.arange(len(labels))

    def nll(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean())

    edge = np.log(MOST)
    found = minimize_scalar(nll, bounds=(-edge, edge), method="bounded", options={"xatol": 1e-6})
    flat = found.fun > min(nll(-edge), nll(edge)) - 1e-9
    if flat or abs(found.x) > edge - 1e-3:
        return None
    return float(np.exp(found.x))

"""Calibration: reliability bins, expected calibration error, and temperature scaling."""

import numpy as np
from scipy.optimize import minimize_scalar

from hf_cifar.run.split_metrics import ReliabilityBin
from hf_cifar.utils.logits import negative_log_likelihoods

NUM_BINS = 15
MAX_TEMPERATURE = 50.0  # temperatures are searched from its inverse up to it


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = NUM_BINS) -> list[ReliabilityBin]:
    """Compute confidence and accuracy over equal-width bins of confidence (reliability diagram; Guo et al., 2017).

    Args:
        probabilities: float [n, labels].
        labels: int [n].
        bins: their number; each is open below and closed above.

    Returns:
        One entry a bin, empty bins included.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    confidences, accuracies = (
        np.bincount(bin_of, values, bins) / np.maximum(counts, 1) for values in (confidence, correct)
    )
    return [
        ReliabilityBin(
            low=index / bins,
            high=(index + 1) / bins,
            count=int(count),
            confidence=float(confidences[index]) if count else None,
            accuracy=float(accuracies[index]) if count else None,
        )
        for index, count in enumerate(counts)
    ]


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = NUM_BINS) -> float:
    """Compute the ECE: the mean gap between confidence and accuracy over equal-width bins (Guo et al., 2017).

    Args:
        probabilities: float [n, labels].
        labels: int [n].
        bins: their number; each is open below and closed above.
    """
    return calibration_error(reliability(probabilities, labels, bins))


def calibration_error(bins: list[ReliabilityBin]) -> float:
    """Compute the ECE of reliability bins."""
    total = sum(entry.count for entry in bins)
    gaps = [
        entry.count * abs(entry.confidence - entry.accuracy)
        for entry in bins
        if entry.confidence is not None and entry.accuracy is not None
    ]
    return float(sum(gaps) / total)


def mean_confidence(bins: list[ReliabilityBin]) -> float | None:
    """Return the mean confidence over all images of reliability bins; None without images."""
    total = sum(entry.count for entry in bins)
    if not total:
        return None
    return sum(entry.count * entry.confidence for entry in bins if entry.confidence is not None) / total


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Fit the temperature that minimises the NLL of the scaled logits (temperature scaling; Guo et al., 2017).

    Args:
        logits: float [n, labels], of images that the model was not trained on: the validation split.
        labels: int [n].

    Returns:
        The divisor of the logits; None where the NLL has no minimum, such as where every prediction is correct and
        more confidence always lowers it.
    """
    logits = logits.astype(np.float64)

    def nll(log_temperature: float) -> float:
        return float(negative_log_likelihoods(logits / np.exp(log_temperature), labels).mean())

    bound = np.log(MAX_TEMPERATURE)
    result = minimize_scalar(nll, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-6})
    is_flat = result.fun > min(nll(-bound), nll(bound)) - 1e-9
    if is_flat or abs(result.x) > bound - 1e-3:
        return None
    return float(np.exp(result.x))

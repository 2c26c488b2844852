"""Whether two models differ by more than chance, from their answers to the same images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """McNemar's exact test of two models on the same images (McNemar, 1947), and their difference.

    Args:
        first, second: bool [n], for each image whether the model is right.

    Returns:
        only_first_right and only_second_right (the images that tell the two apart), difference (accuracy of the first
        less that of the second), difference_ci95 (Agresti and Min, 2005: the paired Wald interval with half an image
        added to each of the four counts), and p_value (two-sided, binomial on the images that tell them apart; 1 where
        none does).

    Raises:
        ValueError: they are not of the same images.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"not of the same images: {first.shape} and {second.shape}")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    total = len(first) + 2
    share, gap = (apart + 1) / total, (only_first - only_second) / total
    reach = float(norm.ppf(0.975) * np.sqrt((share - gap**2) / total))
    return {
        "only_first_right": only_first,
        "only_second_right": only_second,
        "difference": (only_first - only_second) / len(first),
        "difference_ci95": [max(-1.0, gap - reach), min(1.0, gap + reach)],
        "p_value": float(binomtest(only_first, apart).pvalue) if apart else 1.0,
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """p values for several tests at once, adjusted so that a false alarm among all of them stays as rare (Holm, 1979).

    Args:
        p_values: of any number of tests.

    Returns:
        one for each, in their order.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * factors), 1)
    result = np.empty(len(order))
    result[order] = adjusted
    return [float(value) for value in result]

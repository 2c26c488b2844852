"""Paired significance tests of two models on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same images.

    Attributes:
        only_first_right, only_second_right: discordant images, which exactly one model classifies correctly.
        difference: accuracy of the first minus that of the second.
        difference_ci95: its paired interval (Agresti and Min, 2005: Wald with half an image added to each count).
        p_value: two-sided, of McNemar's exact test; 1 without discordant images.
    """

    only_first_right: int
    only_second_right: int
    difference: float
    difference_ci95: tuple[float, float]
    p_value: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> PairedTest:
    """Run McNemar's exact test of two models (McNemar, 1947): a binomial test on the discordant images.

    Args:
        first, second: bool [n], for each image whether the model classifies it correctly.

    Raises:
        ValueError: the arrays differ in length or are empty.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"not of the same images: {first.shape} and {second.shape}")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    total = len(first) + 2
    share, center = (discordant + 1) / total, (only_first - only_second) / total
    half_width = float(norm.ppf(0.975) * np.sqrt((share - center**2) / total))
    return PairedTest(
        only_first_right=only_first,
        only_second_right=only_second,
        difference=(only_first - only_second) / len(first),
        difference_ci95=(max(-1.0, center - half_width), min(1.0, center + half_width)),
        p_value=float(binomtest(only_first, discordant).pvalue) if discordant else 1.0,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values of several tests for multiple testing, controlling the family-wise error rate (Holm, 1979).

    Args:
        p_values: of any number of tests.

    Returns:
        The adjusted p values, in the same order.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * factors), 1)
    result = np.empty(len(order))
    result[order] = adjusted
    return [float(value) for value in result]

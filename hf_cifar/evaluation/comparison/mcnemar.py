"""Paired significance tests of two models on the same images, and intervals that agree with them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincc, betaincinv
from scipy.stats import binomtest

SIGNIFICANCE_LEVEL = 0.05  # of a 95% interval
NODES = 128  # of the numerical integration
TINY = 1e-12


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same images.

    Attributes:
        only_first_right, only_second_right: discordant images, which exactly one model classifies correctly.
        num_examples: all images.
        difference: accuracy of the first minus that of the second.
        difference_ci95: its paired interval, of the same test: it leaves out 0 where p is below 0.05, and only there.
        p_value: two-sided, of McNemar's exact test; 1 without discordant images.
    """

    only_first_right: int
    only_second_right: int
    num_examples: int
    difference: float
    difference_ci95: tuple[float, float]
    p_value: float

    def interval(self, significance: float) -> tuple[float, float]:
        """Return the interval that leaves out 0 where p is below a significance level, and only there."""
        return difference_interval(self.only_first_right, self.only_second_right, self.num_examples, significance)


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
    return PairedTest(
        only_first_right=only_first,
        only_second_right=only_second,
        num_examples=len(first),
        difference=(only_first - only_second) / len(first),
        difference_ci95=difference_interval(only_first, only_second, len(first)),
        p_value=exact_p_value(only_first, only_second),
    )


def exact_p_value(only_first: int, only_second: int) -> float:
    """Return the two-sided p value of McNemar's exact test; 1 without discordant images."""
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def difference_interval(
    only_first: int, only_second: int, total: int, significance: float = SIGNIFICANCE_LEVEL
) -> tuple[float, float]:
    """Return the interval of a difference of paired accuracies that agrees with McNemar's exact test.

    The difference is the share of discordant images times what the first model wins of them, minus what it loses. Of
    each factor the exact bounds are known; they are combined by melding (Fay and Lumbard, 2021), so that the interval
    leaves out 0 where p is below the significance level, and only there.

    Args:
        only_first, only_second: discordant images, which exactly one model classifies correctly.
        total: all images.
        significance: 0.05 for a 95% interval.
    """
    is_significant = exact_p_value(only_first, only_second) < significance
    low = _lower(only_first, only_second, total, significance / 2, is_significant and only_first > only_second)
    high = -_lower(only_second, only_first, total, significance / 2, is_significant and only_second > only_first)
    return low, high


def _lower(won: int, lost: int, total: int, tail: float, is_above: bool) -> float:
    """Return the lower bound of the difference in accuracy of the model that won `won` images.

    Args:
        won, lost: discordant images.
        total: all images.
        tail: probability below the bound.
        is_above: whether the bound is above 0, as the test says.
    """
    discordant, rest = won + lost, total - won - lost
    if not won:  # the exact lower bound of the share won is 0: the difference is that of the discordant images
        return -1.0 if not rest else -float(betaincinv(discordant + 1, rest, 1 - tail))
    split = float(betainc(won, lost + 1, 0.5))  # how probable a share won below a half is
    points, weights = _nodes()
    start, end = (split, 1.0) if is_above else (0.0, split)
    share = betaincinv(won, lost + 1, start + (points + 1) / 2 * (end - start))
    weights = weights / 2 * (end - start)
    lead = np.maximum(np.abs(2 * share - 1), TINY)

    def excess(bound: float) -> float:
        """Return by how much the probability below a bound is more than `tail`."""
        ratio = np.minimum(abs(bound) / lead, 1.0)
        if is_above:
            below = split + float(weights @ betainc(discordant, rest + 1, ratio))
        else:
            beyond = betaincc(discordant + 1, rest, ratio) if rest else (ratio < 1).astype(float)
            below = float(weights @ beyond)
        return below - tail

    low, high = (TINY, 1.0) if is_above else (-1.0, 0.0)
    if excess(low) >= 0:
        return low
    return high if excess(high) <= 0 else float(brentq(excess, low, high, xtol=TINY))


@functools.cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return points from -1 to 1 and weights of the numerical integration (Gauss-Legendre)."""
    return np.polynomial.legendre.leggauss(NODES)


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


def holm_levels(p_values: Sequence[float], significance: float = SIGNIFICANCE_LEVEL) -> list[float]:
    """Return the significance level at which Holm's procedure tests each p value.

    It tests the smallest of n at `significance / n`, the next at `significance / (n - 1)`, and stops at the first that
    is not significant, at whose level it leaves all others. An interval of this level leaves out 0 where the adjusted p
    value is below `significance`, and only there.
    """
    order = np.argsort(p_values, kind="stable")
    result, left, is_stopped = [significance] * len(order), len(order), False
    for index in order:
        result[index] = significance / left
        is_stopped = is_stopped or p_values[index] * left >= significance
        left -= 0 if is_stopped else 1
    return result

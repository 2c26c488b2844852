"""Confidence intervals: of a proportion, and of a mean over runs."""

import math
from collections.abc import Sequence

CONFIDENCE_LEVEL = 0.95


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Return the 95% score interval of a proportion (Wilson, 1927), or (0, 1) of no trials.

    Args:
        successes: trials that succeeded, such as images that were classified correctly.
        total: all trials.
    """
    if not total:
        return 0.0, 1.0
    from scipy.stats import binomtest  # a second, for a card or a push that needs no interval

    interval = binomtest(successes, total).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of the mean of independent runs, by Student's t with n - 1 degrees of freedom.

    Args:
        values: at least two.
    """
    from scipy.stats import t

    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    reach = float(t.ppf((1 + CONFIDENCE_LEVEL) / 2, count - 1)) * math.sqrt(variance / count)
    return mean - reach, mean + reach

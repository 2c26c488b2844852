"""Confidence intervals of proportions."""

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

"""Wilson's interval against its formula."""

from math import sqrt

import pytest

from hf_cifar.evaluation.intervals import wilson_interval


@pytest.mark.parametrize(("successes", "total"), [(0, 5), (5, 5), (8, 10), (9777, 10_000)])
def test_interval_is_that_of_the_formula(successes, total):
    z, share = 1.959964, successes / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    assert wilson_interval(successes, total) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_no_trials_tell_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)

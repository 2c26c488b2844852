"""What is chosen on validation, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from hf_cifar.training.selection import GREATER_IS_BETTER, best_of, is_at_least, score


def test_accuracy_and_cross_entropy_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], dtype=np.float32))
    accuracy, nll = score(logits, np.array([0, 2]))
    assert accuracy == 0.5 and nll == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_the_worst(bad):
    assert score(np.array([[bad, 0.0]]), np.array([0])) == (0.0, math.inf)


def test_the_best_is_the_most_accurate_and_then_the_surest():
    assert best_of([(0.5, 0.1), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8)]) == 2


@pytest.mark.parametrize("metric", GREATER_IS_BETTER)
def test_a_tie_is_at_least_as_good_and_nan_never_is(metric):
    better, worse = (0.9, 0.1) if GREATER_IS_BETTER[metric] else (0.1, 0.9)
    assert is_at_least(better, worse, metric) and is_at_least(worse, worse, metric)
    assert not is_at_least(worse, better, metric) and not is_at_least(math.nan, worse, metric)

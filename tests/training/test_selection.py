"""What is chosen on validation, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from transformers import EvalPrediction

from hf_cifar.config.options.finetune import SELECTION_METRICS
from hf_cifar.evaluation.validation_metrics import validation_metrics
from hf_cifar.training.selection import GREATER_IS_BETTER, WORST, Score, best_candidate, best_of, is_at_least, score


def test_accuracy_and_cross_entropy_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], dtype=np.float32))
    found = score(logits, np.array([0, 2]))
    assert found.accuracy == 0.5 and found.nll == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_the_worst(bad):
    assert score(np.array([[bad, 0.0]]), np.array([0])) == WORST


def test_a_score_is_that_of_scikit_learn_and_of_validation():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 5)).astype(np.float32), rng.choice([0, 0, 0, 1, 2], 40)
    found = score(logits, labels)
    with pytest.warns(UserWarning, match="not in y_true"):
        assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, logits.argmax(1)))
    theirs = validation_metrics(EvalPrediction(logits, labels))
    assert {name: found.by(name) for name in SELECTION_METRICS} == pytest.approx(theirs, rel=1e-6)
    assert set(GREATER_IS_BETTER) == set(SELECTION_METRICS)


def test_the_best_is_the_most_accurate_and_then_the_surest():
    values = [(0.5, 0.9, 0.1), (0.7, 0.2, 0.9), (0.7, 0.3, 0.8), (0.7, 0.3, 0.8)]
    scores = [Score(accuracy, balanced, 0.0, nll) for accuracy, balanced, nll in values]
    assert [best_of(scores), best_of(scores, "balanced_accuracy"), best_of(scores, "nll")] == [2, 0, 0]


@pytest.mark.parametrize("metric", GREATER_IS_BETTER)
def test_a_tie_is_at_least_as_good_and_nan_never_is(metric):
    better, worse = (0.9, 0.1) if GREATER_IS_BETTER[metric] else (0.1, 0.9)
    assert is_at_least(better, worse, metric) and is_at_least(worse, worse, metric)
    assert not is_at_least(worse, better, metric) and not is_at_least(math.nan, worse, metric)


def test_heads_that_validation_cannot_tell_apart_are_chosen_by_cross_entropy():
    scores = [Score(0.90, 0.9, 0.9, 0.30), Score(0.88, 0.9, 0.9, 0.20), Score(0.80, 0.9, 0.9, 0.10)]
    # The standard error of 0.90 is 0.030 with 100 images, 0.0095 with 1,000 and 0.13 with 5.
    assert [best_candidate(scores, "accuracy", images) for images in (100, 1_000, 5)] == [1, 0, 2]
    assert best_candidate(scores, "nll", 100) == 2
    assert best_candidate([Score(1.0, 1, 1, 0.2), Score(0.99, 1, 1, 0.1), WORST], "accuracy", 100) == 0

"""Out-of-fold logits: no probe sees the images that it doubts, nor their twins."""

import numpy as np

from hf_cifar.training.probe.logistic import solve_path
from hf_cifar.training.probe.out_of_fold import STRENGTH, fold_of, out_of_fold_logits


def test_folds_are_stratified_and_hold_twins_together():
    labels = np.repeat([0, 1, 2], [100, 60, 20])
    groups = np.arange(180)
    groups[[10, 20, 30]] = 5
    fold = fold_of(labels, groups, 5, seed=1)
    assert len({*fold[[5, 10, 20, 30]].tolist()}) == 1
    for label in range(3):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert np.ptp(counts) <= 4
    assert np.array_equal(fold, fold_of(labels, groups, 5, seed=1))
    assert not np.array_equal(fold, fold_of(labels, groups, 5, seed=2))


def test_logits_are_those_of_a_probe_on_the_other_folds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    features = (rng.normal(0, 1, (90, 6)) + labels[:, None]).astype(np.float32)
    groups = np.arange(90)
    logits = out_of_fold_logits(features, labels, groups, 3, 3, seed=0)
    fold = fold_of(labels, groups, 3, seed=0)
    for number in range(3):
        others, held = fold != number, fold == number
        (solution,) = solve_path(features[others], labels[others], 3, [STRENGTH])
        assert np.allclose(logits[held], solution.logits(features[held]), atol=1e-4)

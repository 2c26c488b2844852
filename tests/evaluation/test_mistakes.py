"""Confused pairs, mistakes and suspected label errors on data where they are known."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from hf_cifar.evaluation.mistakes import confused_pairs, doubted_labels, mistakes, suspected_label_errors
from hf_cifar.run.split_metrics import ConfusedPair

NAMES = ["ape", "bee", "cat"]


def test_pairs_by_hand():
    labels, predictions = np.array([(0, 0)] * 5 + [(0, 1), (1, 1)] + [(1, 0)] * 3 + [(2, 1)] * 2 + [(2, 2)] * 8).T
    assert confused_pairs(labels, predictions, NAMES) == [
        ConfusedPair("bee", "ape", 3, 0.75),
        ConfusedPair("cat", "bee", 2, 0.2),
        ConfusedPair("ape", "bee", 1, pytest.approx(1 / 6)),
    ]
    assert len(confused_pairs(labels, predictions, NAMES, limit=1)) == 1
    assert confused_pairs(labels, labels, NAMES) == []


def test_pairs_are_all_of_scikit_learns_matrix_off_the_diagonal():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    matrix = confusion_matrix(labels, predictions)
    found = {(pair.label, pair.prediction): pair.count for pair in confused_pairs(labels, predictions, NAMES)}
    assert found == {
        (NAMES[row], NAMES[column]): matrix[row, column] for row in range(3) for column in range(3) if row != column
    }


def test_pairs_of_100_000_classes_need_no_matrix():
    names = [str(number) for number in range(100_000)]
    labels = np.array([99_999, 99_999, 5])
    (first, second) = confused_pairs(labels, np.array([0, 0, 7]), names)
    assert (first.label, first.prediction, first.count, first.share) == ("99999", "0", 2, 1.0)
    assert (second.label, second.prediction) == ("5", "7")


def test_the_worst_mistake_is_first():
    logits = np.log(np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.01, 0.98, 0.01], [0.1, 0.1, 0.8]]))
    assert mistakes(logits, np.array([0, 0, 0, 2])).tolist() == [2, 1]
    assert mistakes(logits, logits.argmax(1)).tolist() == []


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """600 images that a good model classifies well; the labels of 30 of them are changed."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, 600)
    logits = rng.normal(size=(600, 3)) + 5 * np.eye(3)[true]
    changed = rng.choice(600, 30, replace=False)
    labels = true.copy()
    labels[changed] = (true[changed] + 1 + rng.integers(0, 2, 30)) % 3
    return logits, labels, changed


def test_planted_label_errors_are_suspected():
    logits, labels, changed = planted()
    suspected = suspected_label_errors(logits, labels)
    assert len(set(suspected) & set(changed)) >= 20, "most are found"
    assert len(set(suspected) - set(changed)) <= 3, "and little else"
    assert set(suspected[:20]) <= set(changed), "the most suspicious ones are"


def test_suspicion_by_hand():
    """Means: 0.7 for class 0 (0.8, 0.8, 0.5), 0.575 for class 1 (0.9, 0.25). The last image is claimed by class 0."""
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.75, 0.25]])
    assert suspected_label_errors(np.log(probabilities), np.array([0, 0, 0, 1, 1])).tolist() == [4]


def test_a_class_without_images_claims_none():
    probabilities = np.array([[0.1, 0.1, 0.8], [0.9, 0.05, 0.05]])
    assert suspected_label_errors(np.log(probabilities), np.array([0, 0])).tolist() == []


def test_doubts_are_those_of_cleanlab():
    """The off-diagonal of its confident joint, with its class for each."""
    filter_ = pytest.importorskip("cleanlab.filter", reason="cleanlab is not installed")
    count = pytest.importorskip("cleanlab.count")
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 4, 2_000)
    logits = rng.normal(0, 1.5, (2_000, 4)) + 2 * np.eye(4)[np.where(rng.random(2_000) < 0.2, (labels + 1) % 4, labels)]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    positions, suggested = doubted_labels(logits, labels)
    theirs = filter_.find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    assert set(positions) == set(np.flatnonzero(theirs)) and len(positions) > 100
    joint = count.compute_confident_joint(labels, probabilities, calibrate=False)
    ours = np.zeros((4, 4), dtype=int)
    np.add.at(ours, (labels[positions], suggested), 1)
    assert np.array_equal(ours, joint - np.diag(np.diag(joint)))

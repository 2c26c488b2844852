"""Confusions, mistakes and suspected labels on data where the answer is known."""

import csv

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from hf_cifar.evaluation.mistakes import confused_pairs, mistakes, suspected_label_errors, write_images_table

NAMES = ["ape", "bee", "cat"]


def test_pairs_by_hand():
    confusion = np.array([[5, 1, 0], [3, 1, 0], [0, 2, 8]])
    assert confused_pairs(confusion, NAMES) == [
        {"label": "bee", "prediction": "ape", "count": 3, "share": 0.75},
        {"label": "cat", "prediction": "bee", "count": 2, "share": 0.2},
        {"label": "ape", "prediction": "bee", "count": 1, "share": pytest.approx(1 / 6)},
    ]
    assert len(confused_pairs(confusion, NAMES, most=1)) == 1
    assert confused_pairs(np.diag([3, 4, 5]), NAMES) == []


def test_pairs_are_all_of_scikit_learns_matrix_off_the_diagonal():
    rng = np.random.default_rng(0)
    labels, guesses = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    matrix = confusion_matrix(labels, guesses)
    found = {(pair["label"], pair["prediction"]): pair["count"] for pair in confused_pairs(matrix, NAMES)}
    assert found == {
        (NAMES[row], NAMES[column]): matrix[row, column] for row in range(3) for column in range(3) if row != column
    }


def test_the_worst_mistake_is_first():
    logits = np.log(np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.01, 0.98, 0.01], [0.1, 0.1, 0.8]]))
    assert mistakes(logits, np.array([0, 0, 0, 2])).tolist() == [2, 1]
    assert mistakes(logits, logits.argmax(1)).tolist() == []


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """600 images that a good model answers well; the labels of 30 of them are changed."""
    rng = np.random.default_rng(seed)
    right = rng.integers(0, 3, 600)
    logits = rng.normal(size=(600, 3)) + 5 * np.eye(3)[right]
    changed = rng.choice(600, 30, replace=False)
    labels = right.copy()
    labels[changed] = (right[changed] + 1 + rng.integers(0, 2, 30)) % 3
    return logits, labels, changed


def test_planted_label_errors_are_suspected():
    logits, labels, changed = planted()
    suspected = suspected_label_errors(logits, labels)
    assert len(set(suspected) & set(changed)) >= 20, "most are found"
    assert len(set(suspected) - set(changed)) <= 3, "and little else"
    assert set(suspected[:20]) <= set(changed), "the most suspicious ones are"


def test_suspicion_by_hand():
    """Means: 0.7 for class 0 (0.8, 0.8, 0.5), 0.6 for class 1 (0.9, 0.3). The last image is claimed by class 0."""
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.7, 0.3]])
    assert suspected_label_errors(np.log(probabilities), np.array([0, 0, 0, 1, 1])).tolist() == [4]


def test_a_class_without_images_claims_none():
    probabilities = np.array([[0.1, 0.1, 0.8], [0.9, 0.05, 0.05]])
    assert suspected_label_errors(np.log(probabilities), np.array([0, 0])).tolist() == []


def test_table(tmp_path):
    logits = np.log(np.array([[0.2, 0.7, 0.1], [0.9, 0.05, 0.05]]))
    file = tmp_path / "mistakes.csv"
    write_images_table(file, np.array([0]), logits, np.array([0, 0]), np.array([40, 41]), NAMES)
    (row,) = csv.DictReader(file.open())
    assert (row["index"], row["label"], row["prediction"]) == ("40", "ape", "bee")
    assert float(row["label_probability"]) == pytest.approx(0.2)
    assert float(row["prediction_probability"]) == pytest.approx(0.7)
    assert float(row["loss"]) == pytest.approx(-np.log(0.2))

"""Every figure against scikit-learn, scipy or a number worked out by hand."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, log_loss

from hf_cifar.evaluation.evaluator import evaluate_logits, expected_calibration_error, save_predictions

NAMES = ["ape", "bee", "cat", "dog"]


def made_up(count: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    return rng.normal(size=(count, 4)) + 1.5 * np.eye(4)[labels], labels


def test_figures_are_scikit_learns():
    logits, labels = made_up()
    result = evaluate_logits(logits, labels, NAMES)
    guesses = logits.argmax(1)
    report = classification_report(labels, guesses, target_names=NAMES, output_dict=True)
    assert result["num_examples"] == 500
    assert result["accuracy"] == pytest.approx(accuracy_score(labels, guesses))
    assert result["f1_macro"] == pytest.approx(report["macro avg"]["f1-score"])
    assert result["nll"] == pytest.approx(log_loss(labels, softmax(logits, axis=1)))
    assert result["confusion_matrix"] == confusion_matrix(labels, guesses).tolist()
    for name in NAMES:
        assert result["per_class"][name]["precision"] == pytest.approx(report[name]["precision"])
        assert result["per_class"][name]["recall"] == pytest.approx(report[name]["recall"])
        assert result["per_class"][name]["f1"] == pytest.approx(report[name]["f1-score"])
        assert result["per_class"][name]["num_examples"] == report[name]["support"]


def test_top5_of_four_classes_is_one():
    logits, labels = made_up()
    assert evaluate_logits(logits, labels, NAMES)["top5_accuracy"] == 1.0


def test_interval_is_wilsons():
    """8 of 10: (0.4902, 0.9433), worked out from the formula."""
    logits = np.eye(4)[[0] * 10] * 5
    low, high = evaluate_logits(logits, np.array([0] * 8 + [1] * 2), NAMES)["accuracy_ci95"]
    assert low == pytest.approx(0.4902, abs=1e-4) and high == pytest.approx(0.9433, abs=1e-4)


def test_a_class_missing_and_everything_wrong():
    logits, labels = np.eye(4)[[1, 1, 2]], np.array([0, 0, 0])
    result = evaluate_logits(logits, labels, NAMES)
    assert result["accuracy"] == 0.0 and result["f1_macro"] == 0.0
    assert result["per_class"]["dog"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "num_examples": 0}
    assert np.array(result["confusion_matrix"]).shape == (4, 4)


def test_calibration_error_by_hand():
    """Two bins are used: 0.95 with 1 of 2 right, 0.55 with 1 of 1 right: (2 * |0.95 - 0.5| + |0.55 - 1|) / 3."""
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45]])
    assert expected_calibration_error(probabilities, np.array([0, 1, 0])) == pytest.approx((2 * 0.45 + 0.45) / 3)


def test_certainty_that_is_right_has_no_calibration_error():
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0.0


def test_predictions_file(tmp_path):
    logits, labels = made_up(20)
    index = np.arange(100, 120)
    save_predictions(tmp_path / "predictions.parquet", logits, labels, index)
    table = pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    assert table["index"] == index.tolist() and table["label"] == labels.tolist()
    assert table["prediction"] == logits.argmax(1).tolist()
    assert np.allclose(table["probabilities"], softmax(logits, axis=1), atol=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]

"""Every metric against scikit-learn, scipy or a number computed by hand."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score, log_loss

from hf_cifar.evaluation.compute_metrics import compute_metrics, save_predictions
from hf_cifar.run.split_metrics import ClassMetrics, SplitMetrics

NAMES = ["ape", "bee", "cat", "dog"]


def made_up(count: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    return rng.normal(size=(count, 4)) + 1.5 * np.eye(4)[labels], labels


def test_metrics_are_scikit_learns():
    logits, labels = made_up()
    result = compute_metrics(logits, labels, NAMES)
    predictions = logits.argmax(1)
    report = classification_report(labels, predictions, target_names=NAMES, output_dict=True)
    assert result.num_examples == 500
    assert result.accuracy == pytest.approx(accuracy_score(labels, predictions))
    assert result.f1_macro == pytest.approx(report["macro avg"]["f1-score"])
    assert result.nll == pytest.approx(log_loss(labels, softmax(logits, axis=1)))
    assert result.confusion_matrix == confusion_matrix(labels, predictions).tolist()
    for name in NAMES:
        assert result.per_class[name].precision == pytest.approx(report[name]["precision"])
        assert result.per_class[name].recall == pytest.approx(report[name]["recall"])
        assert result.per_class[name].f1 == pytest.approx(report[name]["f1-score"])
        assert result.per_class[name].num_examples == report[name]["support"]


def test_top5_of_four_classes_is_one():
    logits, labels = made_up()
    assert compute_metrics(logits, labels, NAMES).top5_accuracy == 1.0


def test_interval_is_wilsons():
    """8 of 10: (0.4902, 0.9433), from the formula."""
    logits = np.eye(4)[[0] * 10] * 5
    low, high = compute_metrics(logits, np.array([0] * 8 + [1] * 2), NAMES).accuracy_ci95
    assert low == pytest.approx(0.4902, abs=1e-4) and high == pytest.approx(0.9433, abs=1e-4)


def test_a_class_missing_and_everything_wrong():
    logits, labels = np.eye(4)[[1, 1, 2]], np.array([0, 0, 0])
    result = compute_metrics(logits, labels, NAMES)
    assert result.accuracy == 0.0 and result.f1_macro == 0.0
    assert result.per_class["dog"] == ClassMetrics(precision=0.0, recall=0.0, f1=0.0, num_examples=0)
    assert np.array(result.confusion_matrix).shape == (4, 4)


def test_calibrated_metrics_are_those_of_the_scaled_logits():
    logits, labels = made_up()
    scaled = compute_metrics(logits, labels, NAMES, temperature=2.5)
    plain = compute_metrics(logits / 2.5, labels, NAMES)
    assert scaled.temperature == 2.5 and plain.temperature is None
    assert scaled.nll_calibrated == pytest.approx(log_loss(labels, softmax(logits / 2.5, axis=1)))
    assert scaled.ece_calibrated == pytest.approx(plain.ece) and plain.ece_calibrated is None
    assert scaled.reliability_calibrated == plain.reliability
    assert scaled.ece == compute_metrics(logits, labels, NAMES).ece, "nothing is applied silently"


def test_macro_f1_is_scikit_learns_default_and_that_of_the_classes_with_images():
    """Evaluate on images of two of four classes, while the model may predict any."""
    logits, labels = made_up()
    some = np.isin(labels, [1, 3])
    predictions = logits[some].argmax(1)
    result = compute_metrics(logits[some], labels[some], NAMES)
    assert set(predictions) == {0, 1, 2, 3}
    assert result.f1_macro == pytest.approx(f1_score(labels[some], predictions, average="macro"))
    present = f1_score(labels[some], predictions, labels=[1, 3], average="macro")
    assert result.f1_macro_present == pytest.approx(present)
    assert result.f1_macro < 0.6 * result.f1_macro_present
    assert np.array(result.confusion_matrix).sum() == some.sum(), "predictions of other classes count"


def test_macro_f1_by_hand_of_a_class_that_is_predicted_without_images():
    # Labels 0, 0, 1; predictions 0, 2, 1: F1 of 2/3, 1 and 0.
    result = compute_metrics(np.eye(4)[[0, 2, 1]], np.array([0, 0, 1]), NAMES)
    assert result.f1_macro == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert result.f1_macro_present == pytest.approx((2 / 3 + 1) / 2)


def test_both_macro_f1_agree_where_every_predicted_class_has_images():
    result = compute_metrics(*made_up(), NAMES)
    assert result.f1_macro == result.f1_macro_present


@pytest.mark.parametrize("case", ["one class missing", "all wrong", "ties", "one image", "infinite margin"])
def test_degenerate_input(case):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    if case == "one class missing":
        labels[labels == 2] = 3
    elif case == "all wrong":
        labels = (logits.argmax(1) + 1) % 4
    elif case == "ties":
        logits = np.round(logits)
        logits[:20] = 0.0
    elif case == "one image":
        logits, labels = logits[:1], labels[:1]
    else:
        logits *= 1e4
    result = compute_metrics(logits.astype(np.float32), labels, NAMES, temperature=1.3)
    predictions = logits.argmax(1)
    indices = [0, 1, 2, 3]
    assert result.accuracy == pytest.approx(accuracy_score(labels, predictions))
    assert result.f1_macro == pytest.approx(f1_score(labels, predictions, average="macro", zero_division=0))
    assert result.top5_accuracy == 1.0
    assert result.confusion_matrix == confusion_matrix(labels, predictions, labels=indices).tolist()
    if case != "infinite margin":  # scikit-learn clips probabilities of 0
        assert result.nll == pytest.approx(log_loss(labels, softmax(logits, axis=1), labels=indices), rel=1e-5)
    interval = proportion_ci(round(result.accuracy * len(labels)), len(labels))
    assert result.accuracy_ci95 == pytest.approx(interval)
    assert np.isfinite([result.nll, result.ece, result.nll_calibrated, result.ece_calibrated]).all()
    content = json.dumps(result.to_dict(), allow_nan=False)
    assert SplitMetrics.from_dict(json.loads(content)) == result


def proportion_ci(correct: int, total: int) -> tuple[float, float]:
    """Wilson's interval by its formula (Wilson, 1927)."""
    z, share = norm.ppf(0.975), correct / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return middle - half, middle + half


def test_predictions_file(tmp_path):
    logits, labels = made_up(20)
    index = np.arange(100, 120)
    save_predictions(tmp_path / "predictions.parquet", logits, labels, index)
    table = pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    assert table["index"] == index.tolist() and table["label"] == labels.tolist()
    assert table["prediction"] == logits.argmax(1).tolist()
    assert np.allclose(table["probabilities"], softmax(logits, axis=1), atol=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]

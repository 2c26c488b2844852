"""Every figure of a model from one pass of predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import log_softmax
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from hf_cifar.evaluation.calibration import expected_calibration_error, reliability
from hf_cifar.evaluation.metrics import Accuracy, MacroF1, TopKAccuracy
from hf_cifar.evaluation.mistakes import confused_pairs
from hf_cifar.utils.files import write_aside


def evaluate_logits(
    logits: np.ndarray,
    labels: np.ndarray,
    label_names: list[str],
    temperature: float | None = None,
    classes: Sequence[int] | None = None,
) -> dict[str, Any]:
    """What `metrics.json` says of a split.

    Args:
        logits: float [n, labels].
        labels: int [n], the right classes.
        label_names: one a class.
        temperature: fitted on other images; without it nothing is said of calibration after scaling.
        classes: those that the images can have; default: all. Where they are fewer, macro F1 is the mean over them,
            while an answer may be any class.

    Returns:
        Plain values: num_examples, accuracy with its 95 % Wilson interval, f1_macro, top5_accuracy (top-n where there
        are fewer classes), nll (nats), ece and reliability (15 equal bins of confidence), both after scaling too,
        per_class, confusion_matrix (rows: right) and confused_pairs.
    """
    predictions = logits.argmax(axis=1)
    numbers = list(range(len(label_names)))
    classes = numbers if classes is None else sorted(classes)
    correct = int((predictions == labels).sum())
    interval = binomtest(correct, len(labels)).proportion_ci(0.95, method="wilson")
    confusion = confusion_matrix(labels, predictions, labels=numbers)
    quiet = {"keep_in_memory": True}
    return {
        "num_examples": len(labels),
        **Accuracy(**quiet).compute(predictions=predictions, references=labels),
        "accuracy_ci95": [float(interval.low), float(interval.high)],
        **MacroF1(**quiet).compute(predictions=predictions, references=labels, labels=classes),
        "top5_accuracy": TopKAccuracy(**quiet).compute(predictions=logits, references=labels, k=5)["top_k_accuracy"],
        **_calibration(logits, labels, temperature),
        "per_class": _per_class(labels, predictions, label_names),
        "confusion_matrix": confusion.tolist(),
        "confused_pairs": confused_pairs(confusion, label_names),
    }


def _calibration(logits: np.ndarray, labels: np.ndarray, temperature: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for end, divisor in (("", 1.0), ("_calibrated", temperature)):
        if divisor is None:
            found |= dict.fromkeys((f"nll{end}", f"ece{end}", f"reliability{end}"))
            continue
        log_probabilities = log_softmax(logits.astype(np.float64) / divisor, axis=1)
        probabilities = np.exp(log_probabilities)
        found[f"nll{end}"] = float(-log_probabilities[np.arange(len(labels)), labels].mean())
        found[f"ece{end}"] = expected_calibration_error(probabilities, labels)
        found[f"reliability{end}"] = reliability(probabilities, labels)
    order = ("nll", "ece", "nll_calibrated", "ece_calibrated", "reliability", "reliability_calibrated")
    return {"temperature": temperature, **{name: found[name] for name in order}}


def _per_class(labels: np.ndarray, predictions: np.ndarray, label_names: list[str]) -> dict[str, dict[str, float]]:
    numbers = list(range(len(label_names)))
    columns = precision_recall_fscore_support(labels, predictions, labels=numbers, zero_division=0)
    return {
        name: {
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "num_examples": int(support),
        }
        for name, precision, recall, f1, support in zip(label_names, *columns, strict=True)
    }


def save_predictions(path: Path, logits: np.ndarray, labels: np.ndarray, index: np.ndarray) -> None:
    """One row an image: index (row of the split), label, prediction, probabilities (softmax, float32)."""
    probabilities = np.exp(log_softmax(logits.astype(np.float64), axis=1)).astype(np.float32)
    table = pa.table(
        {
            "index": index.astype(np.int64),
            "label": labels.astype(np.int64),
            "prediction": logits.argmax(axis=1).astype(np.int64),
            "probabilities": pa.FixedSizeListArray.from_arrays(probabilities.ravel(), logits.shape[1]),
        }
    )
    write_aside(path, lambda aside: pq.write_table(table, aside))

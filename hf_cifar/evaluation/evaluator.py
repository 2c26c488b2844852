"""Every figure of a model from one pass of predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import log_softmax
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from hf_cifar.evaluation.metrics import Accuracy, MacroF1, TopKAccuracy
from hf_cifar.files import write_aside

ECE_BINS = 15


def evaluate_logits(logits: np.ndarray, labels: np.ndarray, label_names: list[str]) -> dict[str, Any]:
    """What `metrics.json` says of a split.

    Args:
        logits: float [n, labels].
        labels: int [n], the right classes.
        label_names: one a class.

    Returns:
        Plain values: num_examples, accuracy with its 95 % Wilson interval, f1_macro, top5_accuracy (top-n where there
        are fewer classes), nll (nats), ece (15 equal bins of confidence), per_class and confusion_matrix (rows: right).
    """
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    predictions = logits.argmax(axis=1)
    numbers = list(range(len(label_names)))
    correct = int((predictions == labels).sum())
    interval = binomtest(correct, len(labels)).proportion_ci(0.95, method="wilson")
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=numbers, zero_division=0
    )
    quiet = {"keep_in_memory": True}
    return {
        "num_examples": len(labels),
        **Accuracy(**quiet).compute(predictions=predictions, references=labels),
        "accuracy_ci95": [float(interval.low), float(interval.high)],
        **MacroF1(**quiet).compute(predictions=predictions, references=labels, num_labels=len(numbers)),
        "top5_accuracy": TopKAccuracy(**quiet).compute(predictions=logits, references=labels, k=5)["top_k_accuracy"],
        "nll": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "ece": expected_calibration_error(np.exp(log_probabilities), labels),
        "per_class": {
            name: {
                "precision": float(precision[number]),
                "recall": float(recall[number]),
                "f1": float(f1[number]),
                "num_examples": int(support[number]),
            }
            for number, name in enumerate(label_names)
        },
        "confusion_matrix": confusion_matrix(labels, predictions, labels=numbers).tolist(),
    }


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> float:
    """The mean distance between confidence and accuracy over equal bins of confidence (Guo et al., 2017).

    Args:
        probabilities: float [n, labels].
        labels: int [n].
        bins: how many, each open below and closed above.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.abs(np.bincount(bin_of, weights=confidence - correct, minlength=bins))
    return float(gaps.sum() / len(labels))


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

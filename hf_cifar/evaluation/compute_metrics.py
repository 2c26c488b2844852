"""Compute all metrics of a split from one pass of predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_cifar.evaluation.calibration import calibration_error, reliability
from hf_cifar.evaluation.intervals import wilson_interval
from hf_cifar.evaluation.mistakes import confused_pairs, suspected_label_errors
from hf_cifar.run.split_metrics import ClassMetrics, ReliabilityBin, SplitMetrics
from hf_cifar.utils.files import write_aside
from hf_cifar.utils.logits import log_probabilities, negative_log_likelihoods

MAX_MATRIX = 1_000  # classes; the matrix of 10,000 would take gigabytes of metrics.json


def compute_metrics(
    logits: np.ndarray, labels: np.ndarray, label_names: list[str], temperature: float | None = None
) -> SplitMetrics:
    """Compute everything that `metrics.json` holds of a split.

    Macro F1 is given twice. `f1_macro` is scikit-learn's default, over the classes that occur among labels or
    predictions: a class that is predicted but has no images counts as 0. `f1_macro_present` is over the classes that
    have images.

    Args:
        logits: float [n, labels].
        labels: int [n].
        label_names: class names in the order of the logits.
        temperature: of temperature scaling, fitted on other images; without it the `_calibrated` metrics are None.
    """
    # With scipy.stats two seconds: not before there is something to measure.
    from sklearn.metrics import confusion_matrix

    from hf_cifar.evaluation.metrics import Accuracy, MacroF1, TopKAccuracy, measured

    predictions = logits.argmax(axis=1)
    confusion: list[list[int]] | None = None
    if len(label_names) <= MAX_MATRIX:
        confusion = confusion_matrix(labels, predictions, labels=range(len(label_names))).tolist()
    given = {"predictions": predictions, "references": labels}
    nll, bins = _calibration(logits, labels)
    nll_scaled: float | None = None
    bins_scaled: list[ReliabilityBin] | None = None
    if temperature is not None:
        nll_scaled, bins_scaled = _calibration(logits.astype(np.float64) / temperature, labels)
    return SplitMetrics(
        num_examples=len(labels),
        accuracy=measured(Accuracy, **given)["accuracy"],
        accuracy_ci95=wilson_interval(int((predictions == labels).sum()), len(labels)),
        f1_macro=measured(MacroF1, **given)["f1_macro"],
        f1_macro_present=measured(MacroF1, **given, labels=np.unique(labels).tolist())["f1_macro"],
        top5_accuracy=measured(TopKAccuracy, predictions=logits, references=labels, k=5)["top_k_accuracy"],
        temperature=temperature,
        nll=nll,
        ece=calibration_error(bins),
        nll_calibrated=nll_scaled,
        ece_calibrated=None if bins_scaled is None else calibration_error(bins_scaled),
        reliability=bins,
        reliability_calibrated=bins_scaled,
        per_class=_per_class(labels, predictions, label_names),
        confusion_matrix=confusion,
        confused_pairs=confused_pairs(labels, predictions, label_names),
        num_doubted=len(suspected_label_errors(logits, labels)),
    )


def save_predictions(
    path: Path, logits: np.ndarray, labels: np.ndarray, index: np.ndarray, files: Sequence[str] | None = None
) -> None:
    """Write `predictions.parquet`, one row an image: index (row of the split), label, prediction, probabilities, file.

    Args:
        path: of the file.
        logits: float [n, labels].
        labels: int [n].
        index: int [n], the rows of the split.
        files: for each image what it can be found by; left out where it is not known.
    """
    probabilities = np.exp(log_probabilities(logits)).astype(np.float32)
    table = pa.table(
        {
            "index": index.astype(np.int64),
            "label": labels.astype(np.int64),
            "prediction": logits.argmax(axis=1).astype(np.int64),
            "probabilities": pa.FixedSizeListArray.from_arrays(probabilities.ravel(), logits.shape[1]),
            **({"file": list(files)} if files is not None else {}),
        }
    )
    write_aside(path, lambda aside: pq.write_table(table, aside))


def _calibration(logits: np.ndarray, labels: np.ndarray) -> tuple[float, list[ReliabilityBin]]:
    """Return the NLL in nats and the reliability bins of the softmax of logits."""
    nll = float(negative_log_likelihoods(logits, labels).mean())
    return nll, reliability(np.exp(log_probabilities(logits)), labels)


def _per_class(labels: np.ndarray, predictions: np.ndarray, label_names: list[str]) -> dict[str, ClassMetrics]:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(labels, predictions, labels=range(len(label_names)), zero_division=0)
    return {
        name: ClassMetrics(float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(label_names, *columns, strict=True)
    }

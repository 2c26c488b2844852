"""Macro F1 as an `evaluate.Metric`."""

from typing import Any

import evaluate
from sklearn.metrics import f1_score

from hf_cifar.evaluation.metrics.declaration import declared

DESCRIPTION = (
    "The unweighted mean over classes of the F1 score, the harmonic mean of precision and recall. Without `labels` and "
    "`num_labels` it is scikit-learn's default: the mean over the classes that occur among predictions or references. "
    "A class that occurs in neither counts as 0 where it is named."
)
INPUTS = """
    predictions: int [n], the predicted classes.
    references: int [n], the labels.
    num_labels: the mean is over the classes 0 to num_labels - 1.
    labels: the classes that the mean is over; wins over num_labels.
Returns:
    {"f1_macro": a fraction}
"""


class MacroF1(evaluate.Metric):
    """`compute(predictions=…, references=…, num_labels=… or labels=…)` -> `{"f1_macro": float}`."""

    def _info(self) -> evaluate.MetricInfo:
        return declared(DESCRIPTION, INPUTS)

    def _compute(
        self, predictions: Any, references: Any, num_labels: int | None = None, labels: list[int] | None = None
    ) -> dict[str, float]:
        if labels is None and num_labels is not None:
            labels = list(range(num_labels))
        score = f1_score(references, predictions, labels=labels, average="macro", zero_division=0)
        return {"f1_macro": float(score)}

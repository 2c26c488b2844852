"""Macro F1 as an `evaluate.Metric`."""

from typing import Any

import datasets
import evaluate
from sklearn.metrics import f1_score

DESCRIPTION = (
    "The mean over the classes of the harmonic mean of precision and recall; a class that is neither "
    "predicted nor present counts as 0 where it is among `labels` or `num_labels`, and not at all otherwise."
)
INPUTS = """
    predictions: int [n], the predicted classes.
    references: int [n], the right ones.
    num_labels: how many classes there are; default: those that occur.
    labels: the classes that the mean is over, where they are not all.
Returns:
    {"f1_macro": a fraction}
"""


class MacroF1(evaluate.Metric):
    """`compute(predictions=…, references=…, num_labels=… or labels=…)` -> `{"f1_macro": float}`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(
        self, predictions: Any, references: Any, num_labels: int | None = None, labels: list[int] | None = None
    ) -> dict[str, float]:
        if labels is None and num_labels is not None:
            labels = list(range(num_labels))
        score = f1_score(references, predictions, labels=labels, average="macro", zero_division=0)
        return {"f1_macro": float(score)}

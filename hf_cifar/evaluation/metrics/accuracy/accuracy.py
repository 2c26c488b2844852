"""Accuracy as an `evaluate.Metric`."""

from typing import Any

import evaluate
from sklearn.metrics import accuracy_score

from hf_cifar.evaluation.metrics.declaration import declared

DESCRIPTION = "The share of images whose predicted class is their label."
INPUTS = """
    predictions: int [n], the predicted classes.
    references: int [n], the labels.
Returns:
    {"accuracy": a fraction}
"""


class Accuracy(evaluate.Metric):
    """`compute(predictions=…, references=…)` -> `{"accuracy": float}`."""

    def _info(self) -> evaluate.MetricInfo:
        return declared(DESCRIPTION, INPUTS)

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": float(accuracy_score(references, predictions))}

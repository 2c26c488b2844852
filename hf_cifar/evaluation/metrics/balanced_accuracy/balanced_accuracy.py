"""Balanced accuracy as an `evaluate.Metric`."""

from typing import Any

import evaluate
import numpy as np
from sklearn.metrics import recall_score

from hf_cifar.evaluation.metrics.declaration import declared

DESCRIPTION = (
    "The unweighted mean over the classes that have images of the share of them whose predicted class is their label: "
    "the accuracy that classes of equal size would have. A class that is predicted but has no images does not count."
)
INPUTS = """
    predictions: int [n], the predicted classes.
    references: int [n], the labels.
Returns:
    {"balanced_accuracy": a fraction}
"""


class BalancedAccuracy(evaluate.Metric):
    """`compute(predictions=…, references=…)` -> `{"balanced_accuracy": float}`.

    scikit-learn's `balanced_accuracy_score`, without its warning where a class without images is predicted.
    """

    def _info(self) -> evaluate.MetricInfo:
        return declared(DESCRIPTION, INPUTS)

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        there = np.unique(references).tolist()
        return {"balanced_accuracy": float(recall_score(references, predictions, labels=there, average="macro"))}

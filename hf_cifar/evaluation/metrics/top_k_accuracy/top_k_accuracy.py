"""Top-k accuracy as an `evaluate.Metric`."""

from typing import Any

import evaluate
import numpy as np

from hf_cifar.evaluation.metrics.declaration import SCORES, declared

DESCRIPTION = (
    "The share of images whose label is among the k classes with the highest scores; ties go to the lower class."
)
INPUTS = """
    predictions: float [n, classes], scores.
    references: int [n], the labels.
    k: number of classes that count; the result is 1 for k of at least the number of classes.
Returns:
    {"top_k_accuracy": a fraction}
"""


class TopKAccuracy(evaluate.Metric):
    """`compute(predictions=…, references=…, k=5)` -> `{"top_k_accuracy": float}`.

    scikit-learn's `top_k_accuracy_score` refuses two classes with two columns of scores; this accepts any number.
    """

    def _info(self) -> evaluate.MetricInfo:
        return declared(DESCRIPTION, INPUTS, SCORES)

    def _compute(self, predictions: Any, references: Any, k: int = 5) -> dict[str, float]:
        ranked = np.argsort(-np.asarray(predictions), axis=1, kind="stable")[:, :k]
        hits = (ranked == np.asarray(references)[:, None]).any(axis=1)
        return {"top_k_accuracy": float(hits.mean())}

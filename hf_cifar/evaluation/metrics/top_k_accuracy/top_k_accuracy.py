"""Top-k accuracy as an `evaluate.Metric`."""

from typing import Any

import datasets
import evaluate

from hf_cifar.evaluation.scores import top_k_accuracy

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
    """`compute(predictions=…, references=…, k=5)` -> `{"top_k_accuracy": float}`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Value("int64"),
                }
            ),
        )

    def _compute(self, predictions: Any, references: Any, k: int = 5) -> dict[str, float]:
        return {"top_k_accuracy": top_k_accuracy(references, predictions, k)}

"""What an `evaluate.Metric` of this package declares of itself: its words, and the columns that it takes."""

from typing import Any

import datasets
import evaluate

LABEL = datasets.Value("int64")
SCORES = datasets.Sequence(datasets.Value("float64"))


def declared(description: str, inputs: str, predictions: Any = LABEL) -> evaluate.MetricInfo:
    """Return what `_info` returns.

    Args:
        description: what is measured.
        inputs: the arguments of `compute`, and what it returns.
        predictions: their type, `LABEL` or `SCORES`; references are labels.
    """
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description=inputs,
        features=datasets.Features({"predictions": predictions, "references": LABEL}),
    )

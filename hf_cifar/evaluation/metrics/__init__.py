"""`evaluate.Metric` modules that load without a network.

Use a class directly, or `evaluate.load(path("accuracy"))`.
"""

from pathlib import Path
from typing import Any

import evaluate

from hf_cifar.evaluation.metrics.accuracy.accuracy import Accuracy
from hf_cifar.evaluation.metrics.balanced_accuracy.balanced_accuracy import BalancedAccuracy
from hf_cifar.evaluation.metrics.macro_f1.macro_f1 import MacroF1
from hf_cifar.evaluation.metrics.top_k_accuracy.top_k_accuracy import TopKAccuracy

__all__ = ["Accuracy", "BalancedAccuracy", "MacroF1", "TopKAccuracy", "measured", "path"]


def measured(metric: type[evaluate.Metric], **inputs: Any) -> dict[str, float]:
    """Return what `metric().compute(**inputs)` does, of arrays that are whole and at hand.

    `compute` writes them into an Arrow table, hashes that and reads it again: of a small split, most of its time.
    """
    values: dict[str, float] = metric(keep_in_memory=True)._compute(**inputs)
    return values


def path(name: str) -> str:
    """Return the folder of accuracy, balanced_accuracy, macro_f1 or top_k_accuracy, as `evaluate.load` takes it."""
    return str(Path(__file__).parent / name)

"""`evaluate.Metric` modules that load without a network.

Use a class directly, or `evaluate.load(path("accuracy"))`.
"""

from pathlib import Path

from hf_cifar.evaluation.metrics.accuracy.accuracy import Accuracy
from hf_cifar.evaluation.metrics.balanced_accuracy.balanced_accuracy import BalancedAccuracy
from hf_cifar.evaluation.metrics.macro_f1.macro_f1 import MacroF1
from hf_cifar.evaluation.metrics.top_k_accuracy.top_k_accuracy import TopKAccuracy

__all__ = ["Accuracy", "BalancedAccuracy", "MacroF1", "TopKAccuracy", "path"]


def path(name: str) -> str:
    """Return the folder of accuracy, balanced_accuracy, macro_f1 or top_k_accuracy, as `evaluate.load` takes it."""
    return str(Path(__file__).parent / name)

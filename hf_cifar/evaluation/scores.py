"""Accuracy, macro F1 and top-k accuracy of arrays: what the modules in `metrics/` wrap for `evaluate`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Return the share of images whose predicted class is their label.

    Args:
        labels, predictions: int [n].
    """
    return float(np.mean(np.asarray(labels) == np.asarray(predictions)))


def macro_f1(labels: ArrayLike, predictions: ArrayLike, classes: Sequence[int] | None = None) -> float:
    """Return the unweighted mean over classes of the F1 score, the harmonic mean of precision and recall.

    Args:
        labels, predictions: int [n].
        classes: that the mean is over, where one that never occurs counts as 0; by default those that occur among
            labels or predictions.
    """
    from sklearn.metrics import f1_score  # a second, with scipy.stats: not before there is something to measure

    return float(f1_score(labels, predictions, labels=classes, average="macro", zero_division=0))


def top_k_accuracy(labels: ArrayLike, scores: ArrayLike, k: int = 5) -> float:
    """Return the share of images whose label is among the k classes with the highest scores; ties go to the lower.

    scikit-learn's `top_k_accuracy_score` refuses two classes with two columns of scores; this accepts any number.

    Args:
        labels: int [n].
        scores: float [n, classes].
        k: the result is 1 for k of at least the number of classes.
    """
    ranked = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return float((ranked == np.asarray(labels)[:, None]).any(axis=1).mean())

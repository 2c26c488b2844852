"""Misclassified images, and labels that may be wrong themselves."""

import numpy as np

from hf_cifar.run.split_metrics import ConfusedPair
from hf_cifar.utils.logits import log_probabilities, negative_log_likelihoods

MAX_PAIRS = 20


def confused_pairs(
    labels: np.ndarray, predictions: np.ndarray, label_names: list[str], limit: int = MAX_PAIRS
) -> list[ConfusedPair]:
    """Return the pairs of classes that are confused, the most frequent first.

    Args:
        labels, predictions: int [n].
        label_names: class names in the order of the logits.
        limit: at most so many pairs.
    """
    wrong, classes = labels != predictions, len(label_names)
    cells, counts = np.unique(labels[wrong].astype(np.int64) * classes + predictions[wrong], return_counts=True)
    images = np.bincount(labels, minlength=classes)
    return [
        ConfusedPair(
            label=label_names[cells[index] // classes],
            prediction=label_names[cells[index] % classes],
            count=int(counts[index]),
            share=float(counts[index] / images[cells[index] // classes]),
        )
        for index in np.argsort(-counts, kind="stable")[:limit]
    ]


def suspected_label_errors(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Find images whose label is probably wrong, by confident learning (Northcutt, Jiang and Chuang, 2021).

    A class claims an image whose probability of it is at least the mean over the images with that label. An image is
    suspected if the most probable of the classes that claim it is not its label.

    Args:
        logits: float [n, labels], of images that the model was not trained on.
        labels: int [n].

    Returns:
        int64 [m]: positions, the most suspicious first: by how much less probable the label is than the other class.
    """
    return doubted_labels(logits, labels)[0]


def doubted_labels(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what `suspected_label_errors` does, and for each the class that claims the image, int64 [m] both."""
    probabilities = np.exp(log_probabilities(logits))
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        thresholds[label] = own[labels == label].mean()
    claimed = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = claimed.argmax(axis=1)
    suspected = np.flatnonzero((claimed[rows, best] >= 0) & (best != labels))
    margin = own[suspected] - probabilities[suspected, best[suspected]]
    order = np.argsort(margin, kind="stable")
    return suspected[order], best[suspected][order]


def mistakes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Find the misclassified images, by falling loss.

    Args:
        logits: float [n, labels].
        labels: int [n].

    Returns:
        int64 [m]: positions.
    """
    losses = negative_log_likelihoods(logits, labels)
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    return wrong[np.argsort(-losses[wrong], kind="stable")]

"""Where a model is wrong, and where it may be the label that is."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from hf_cifar.utils.files import write_csv

COLUMNS = ("index", "label", "prediction", "label_probability", "prediction_probability", "loss")
PAIRS = 20


def confused_pairs(confusion: np.ndarray, label_names: list[str], most: int = PAIRS) -> list[dict[str, Any]]:
    """Which class is taken for which, the most frequent first.

    Args:
        confusion: int [labels, labels]; rows are the right classes.
        label_names: one a class.
        most: how many pairs at most.

    Returns:
        label, prediction, count, and share: of the label's images.
    """
    wrong = confusion * (1 - np.eye(len(confusion), dtype=confusion.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    found = [(int(row), int(column)) for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [
        {
            "label": label_names[row],
            "prediction": label_names[column],
            "count": int(wrong[row, column]),
            "share": float(wrong[row, column] / confusion[row].sum()),
        }
        for row, column in found
        if wrong[row, column]
    ]


def suspected_label_errors(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The images whose label is probably wrong, by confident learning (Northcutt, Jiang and Chuang, 2021).

    A class claims an image when the image's probability of it is at least the mean that images with that label
    have; an image is suspected when, of the classes that claim it, the most probable is not its label.

    Args:
        logits: float [n, labels], of images that the model was not trained on.
        labels: int [n], the labels in doubt.

    Returns:
        int64 [m]: positions, the most suspicious first: by how much the label is less probable than the other class.
    """
    probabilities = np.exp(log_softmax(logits.astype(np.float64), axis=1))
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        thresholds[label] = own[labels == label].mean()
    claimed = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = claimed.argmax(axis=1)
    suspected = np.flatnonzero((claimed[rows, best] >= 0) & (best != labels))
    margin = own[suspected] - probabilities[suspected, best[suspected]]
    return suspected[np.argsort(margin, kind="stable")]


def mistakes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """int64 [m]: positions of the images that are answered wrongly, by falling loss."""
    loss = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    return wrong[np.argsort(-loss[wrong], kind="stable")]


def write_images_table(
    path: Path, positions: np.ndarray, logits: np.ndarray, labels: np.ndarray, index: np.ndarray, names: list[str]
) -> None:
    """Some images as CSV, a row each, with what was answered.

    Args:
        path: of the file.
        positions: int [m], which images, in order.
        logits: float [n, labels].
        labels: int [n].
        index: int [n], their rows in the split.
        names: one a class.
    """
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    rows = []
    for place in positions:
        label, prediction = int(labels[place]), int(logits[place].argmax())
        rows.append(
            {
                "index": int(index[place]),
                "label": names[label],
                "prediction": names[prediction],
                "label_probability": float(np.exp(log_probabilities[place, label])),
                "prediction_probability": float(np.exp(log_probabilities[place, prediction])),
                "loss": float(-log_probabilities[place, label]),
            }
        )
    write_csv(path, rows, COLUMNS)

"""Tables of single images: `mistakes.csv` and `label_errors.csv`."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from hf_cifar.utils.files import from_csv_text, write_csv
from hf_cifar.utils.logits import log_probabilities


@dataclass(frozen=True)
class ImageRow:
    """One image and its prediction.

    Attributes:
        index: the row of the split.
        label, prediction: class names.
        label_probability, prediction_probability: of the softmax.
        loss: cross-entropy in nats.
        file: what the image can be found by: a file below the dataset's folder, or a row of the split.
    """

    index: int
    label: str
    prediction: str
    label_probability: float
    prediction_probability: float
    loss: float
    file: str = ""


COLUMNS = tuple(field.name for field in fields(ImageRow))


def image_rows(
    positions: Sequence[int] | np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
    index: np.ndarray,
    label_names: Sequence[str],
    files: Sequence[str] | None = None,
) -> list[ImageRow]:
    """Return the rows of some images.

    Args:
        positions: int [m], which of the images, in order.
        logits: float [n, labels].
        labels: int [n].
        index: int [n], the rows of the split.
        label_names: class names in the order of the logits.
        files: for each image what it can be found by.
    """
    log_probs = log_probabilities(logits)
    rows = []
    for position in positions:
        label, prediction = int(labels[position]), int(logits[position].argmax())
        rows.append(
            ImageRow(
                index=int(index[position]),
                label=label_names[label],
                prediction=label_names[prediction],
                label_probability=float(np.exp(log_probs[position, label])),
                prediction_probability=float(np.exp(log_probs[position, prediction])),
                loss=float(-log_probs[position, label]),
                file=files[position] if files is not None else "",
            )
        )
    return rows


def write_image_table(path: Path, rows: Sequence[ImageRow]) -> None:
    """Write rows as CSV, whole or not at all."""
    write_csv(path, [asdict(row) for row in rows], COLUMNS)


def read_image_table(path: Path, limit: int | None = None) -> list[ImageRow]:
    """Read the first rows of such a file; none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        cells = list(csv.DictReader(lines))[:limit]
    return [
        ImageRow(
            index=int(row["index"]),
            label=from_csv_text(row["label"]),
            prediction=from_csv_text(row["prediction"]),
            label_probability=float(row["label_probability"]),
            prediction_probability=float(row["prediction_probability"]),
            loss=float(row["loss"]),
            file=from_csv_text(row.get("file") or ""),  # older versions have no such column
        )
        for row in cells
    ]

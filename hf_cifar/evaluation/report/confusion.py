"""The confusion matrix of the report, whose cells open their images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_cifar.evaluation.cells import MAX_IN_CELL, by_cell
from hf_cifar.evaluation.embedded import EmbeddedImage
from hf_cifar.evaluation.figures.confusion import MAX_NAMED
from hf_cifar.evaluation.image_table import ImageRow
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.utils.formatting import number, percent

MAX_PAIRS = 10
MOST_CONFUSED = 20  # classes of the matrix where there are too many for all of them
MAX_FILES = 12  # that a cell names below its pictures
MAX_CELLS = 400  # that the page can open
DARK = 0.55  # opacity of a cell's colour, from which its number is white


@dataclass(frozen=True)
class MatrixCell:
    """One cell of the matrix.

    Attributes:
        count: images, or nothing for none.
        title: what it says in words.
        opacity: of its colour, from 0 to 1: the square root of its share of the row, so that rare mistakes show.
        anchor: of its images; empty where they are not on the page.
    """

    count: str
    title: str
    opacity: float
    anchor: str

    @property
    def is_dark(self) -> bool:
        """Return whether its number is legible in white only."""
        return self.opacity > DARK


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix, or the part of it with the classes that are confused most.

    Attributes:
        columns: names of the predictions; of a part, the last one stands for all other classes.
        rows: name of the label, and its cells.
        is_part: whether classes are left out.
    """

    columns: list[str]
    rows: list[tuple[str, list[MatrixCell]]]
    is_part: bool


@dataclass(frozen=True)
class CellImages:
    """The images of one cell.

    Attributes:
        anchor: where the page has them.
        label, prediction: names.
        count: how many images the cell has.
        images: with a picture.
        files: of further images.
        more: how many are neither shown nor named.
    """

    anchor: str
    label: str
    prediction: str
    count: str
    images: list[EmbeddedImage]
    files: list[str]
    more: int


@dataclass(frozen=True)
class PairRow:
    """One row of the table of confused pairs."""

    label: str
    prediction: str
    count: str
    share: str
    anchor: str


def cell_images(split: SplitMetrics, rows: Sequence[ImageRow], thumbnails: Mapping[int, str]) -> list[CellImages]:
    """Return the images of each cell that the page shows, the largest first.

    Args:
        split: metrics of the split.
        rows: all misclassified images.
        thumbnails: images as data URIs, by row of the split.
    """
    numbers = {name: index for index, name in enumerate(split.label_names)}
    shown_classes = {split.label_names[index] for index in _shown_classes(split)}
    most = {(pair.label, pair.prediction) for pair in split.confused_pairs[:MAX_PAIRS]}
    cells: list[CellImages] = []
    for (label, prediction), members in by_cell(rows).items():
        if (label, prediction) not in most and not {label, prediction} <= shown_classes:
            continue
        shown = [row for row in members if row.index in thumbnails][:MAX_IN_CELL]
        others = [row for row in members if row not in shown]
        cells.append(
            CellImages(
                anchor=f"cell-{numbers.get(label)}-{numbers.get(prediction)}",
                label=label,
                prediction=prediction,
                count=number(len(members)),
                images=[EmbeddedImage.of_mistake(row, thumbnails[row.index]) for row in shown],
                files=[row.file or f"image {row.index}" for row in others[:MAX_FILES]],
                more=max(0, len(others) - MAX_FILES),
            )
        )
    return cells[:MAX_CELLS]


def _shown_classes(split: SplitMetrics) -> list[int]:
    """Return the classes of the matrix: all of them, or of too many those that are confused most."""
    if split.confusion_matrix is None:
        return []
    if len(split.label_names) <= MAX_NAMED:
        return list(range(len(split.label_names)))
    counts = np.array(split.confusion_matrix)
    wrong = counts - np.diag(np.diag(counts))
    most = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:MOST_CONFUSED]
    return sorted(most.tolist())


def matrix_of(split: SplitMetrics, cells: Sequence[CellImages]) -> Matrix | None:
    """Return the confusion matrix as a table; None where there are too many classes to have one at all."""
    if split.confusion_matrix is None:
        return None
    counts, names = np.array(split.confusion_matrix), split.label_names
    shown = _shown_classes(split)
    totals, anchors = counts.sum(axis=1), {cell.anchor for cell in cells}
    columns, rows = [names[index] for index in shown], []
    for row in shown:
        line = [_cell(names, row, column, counts[row, column], totals[row], anchors) for column in shown]
        if len(shown) < len(names):
            rest = int(totals[row] - counts[row, shown].sum())
            line.append(_written(rest, int(totals[row]), f"{names[row]} predicted as another class", ""))
        rows.append((names[row], line))
    is_part = len(shown) < len(names)
    return Matrix([*columns, *(["others"] if is_part else [])], rows, is_part)


def _cell(names: Sequence[str], row: int, column: int, count: int, total: int, anchors: set[str]) -> MatrixCell:
    anchor = f"cell-{row}-{column}"
    words = f"{names[row]}, right" if row == column else f"{names[row]} predicted as {names[column]}"
    return _written(int(count), int(total), words, anchor if anchor in anchors else "")


def _written(count: int, total: int, words: str, anchor: str) -> MatrixCell:
    if not count:
        return MatrixCell("", "", 0.0, "")
    images = "1 image" if count == 1 else f"{count:,} images"
    title = f"{words}: {images}, {percent(count / total)} of the label"
    return MatrixCell(number(count), title, round(math.sqrt(count / total), 2), anchor)


def pair_rows(split: SplitMetrics, cells: Sequence[CellImages] = ()) -> list[PairRow]:
    """Return the most confused pairs of classes."""
    anchors = {(cell.label, cell.prediction): cell.anchor for cell in cells}
    return [
        PairRow(
            pair.label,
            pair.prediction,
            number(pair.count),
            percent(pair.share),
            anchors.get((pair.label, pair.prediction), ""),
        )
        for pair in split.confused_pairs[:MAX_PAIRS]
    ]

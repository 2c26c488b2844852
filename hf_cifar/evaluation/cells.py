"""The misclassified images by cell of the confusion matrix."""

from collections.abc import Sequence

from hf_cifar.evaluation.image_table import ImageRow

MAX_IN_CELL = 4  # pictures of one cell
MAX_PICTURES = 72  # of all cells

Cell = tuple[str, str]  # label and prediction


def by_cell(rows: Sequence[ImageRow]) -> dict[Cell, list[ImageRow]]:
    """Return the images of each cell in the order given, the cell with the most images first.

    Args:
        rows: misclassified images.
    """
    cells: dict[Cell, list[ImageRow]] = {}
    for row in rows:
        cells.setdefault((row.label, row.prediction), []).append(row)
    return dict(sorted(cells.items(), key=lambda item: -len(item[1])))


def pictured(rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Return the images of which cells show a picture: the first few of each, of the largest cells first."""
    shown = [row for images in by_cell(rows).values() for row in images[:MAX_IN_CELL]]
    return shown[:MAX_PICTURES]

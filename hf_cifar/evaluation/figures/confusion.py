"""The confusion matrix."""

from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.style import INK, PAPER, SMALL, WIDTH, axes, picture, room_for, short

MAX_NAMED = 40  # with more classes their names would overlap
LEGIBLE = 6.0  # points


def confusion_figure(path: Path, section: dict[str, Any]) -> None:
    """A PNG of the confusion matrix; the colour is the share of a right label's images, so rare classes show too.

    Args:
        path: of the PNG.
        section: of a split in metrics.json, with `confusion_matrix` and `per_class`.
    """
    names = [short(name, 14) for name in section["per_class"]]
    counts = np.array(section["confusion_matrix"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    named = len(names) <= MAX_NAMED
    # Enough dots for each cell where there are many.
    width = WIDTH if len(names) <= 20 else 1.5 * WIDTH
    size = min(SMALL, _size(len(names), width))
    margin = (room_for(names, size) if named else 0.3) + 0.28
    side = width - margin - 0.08
    subtitle = "Rows: right label. Darker: larger share of the row"
    with picture(path, width, side + margin + 0.58, "Confusion matrix", subtitle) as figure:
        axis = axes(figure, margin, margin, side, side)
        # Faint shares are the mistakes: the square root lets them be seen beside the diagonal.
        axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axis.grid(False)
        if named:
            axis.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
            axis.set_yticks(range(len(names)), names, fontsize=size)
            axis.set_xlabel("prediction")
            axis.set_ylabel("right label")
        else:
            axis.set_xlabel("prediction (number of the class)")
            axis.set_ylabel("right label (number of the class)")
        _counts(axis, counts, shares, side)


def _size(classes: int, width: float) -> float:
    """Points that a name may be high."""
    return 0.8 * (width - 1) / classes * 72


def _counts(axis: Any, counts: np.ndarray, shares: np.ndarray, side: float) -> None:
    """The number in each cell, if it can be read there."""
    cell = side / len(counts) * 72
    size = min(8.0, 0.92 * cell / (0.62 * len(str(counts.max()))))
    if size < LEGIBLE:
        return
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = PAPER if shares[row, column] > 0.3 else INK
            axis.text(column, row, str(count), ha="center", va="center", fontsize=size, color=colour)


def describe_confusion(section: dict[str, Any]) -> str:
    """The figure in words and numbers, for those who do not see it."""
    pairs = section.get("confused_pairs", [])
    said = f"Confusion matrix of {len(section['per_class'])} classes"
    if not pairs:
        return f"{said}: no image was taken for another class."
    worst = [f"{pair['label']} taken for {pair['prediction']}, {_times(pair['count'])}" for pair in pairs[:3]]
    return f"{said}; most confused: {'; '.join(worst)}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"

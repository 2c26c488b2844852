"""The confusion matrix."""

from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.style import INK, PAPER, SMALL, WIDTH, add_axes, png_figure, shorten, text_width
from hf_cifar.run.split_metrics import SplitMetrics

MAX_NAMED = 40  # with more classes their names would overlap
MIN_FONT_SIZE = 6.0  # points


def confusion_figure(path: Path, split: SplitMetrics) -> bool:
    """Draw the confusion matrix, coloured by the share of each row so that rare classes show too.

    Args:
        path: of the PNG.
        split: metrics of the split.

    Returns:
        Whether it was drawn: there is no matrix of very many classes.
    """
    if split.confusion_matrix is None:
        return False
    names = [shorten(name, 14) for name in split.label_names]
    counts = np.array(split.confusion_matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_named = len(names) <= MAX_NAMED
    # Enough pixels for each cell where there are many.
    width = WIDTH if len(names) <= 20 else 1.5 * WIDTH
    size = min(SMALL, 0.8 * (width - 1) / len(names) * 72)
    margin = (text_width(names, size) if is_named else 0.3) + 0.28
    side = width - margin - 0.08
    subtitle = "Colour: share of the images with the label"
    with png_figure(path, width, side + margin + 0.58, "Confusion matrix", subtitle) as figure:
        axis = add_axes(figure, margin, margin, side, side)
        # The square root makes small shares, the mistakes, visible beside the diagonal.
        axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axis.grid(False)
        if is_named:
            axis.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
            axis.set_yticks(range(len(names)), names, fontsize=size)
        axis.set_xlabel("prediction" if is_named else "prediction (class index)")
        axis.set_ylabel("label" if is_named else "label (class index)")
        _draw_counts(axis, counts, shares, side)
    return True


def _draw_counts(axis: Any, counts: np.ndarray, shares: np.ndarray, side: float) -> None:
    """Write the count into each cell, if it is legible there."""
    cell = side / len(counts) * 72
    size = min(8.0, 0.92 * cell / (0.62 * len(str(counts.max()))))
    if size < MIN_FONT_SIZE:
        return
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = PAPER if shares[row, column] > 0.3 else INK
            axis.text(column, row, str(count), ha="center", va="center", fontsize=size, color=colour)


def describe_confusion(split: SplitMetrics) -> str:
    """Return the alternative text of the figure."""
    subject = f"Confusion matrix of {len(split.per_class)} classes"
    if not split.confused_pairs:
        return f"{subject}: no image was misclassified."
    pairs = [f"{pair.label} predicted as {pair.prediction}, {_times(pair.count)}" for pair in split.confused_pairs[:3]]
    return f"{subject}; most confused: {'; '.join(pairs)}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"

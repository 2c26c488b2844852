"""Recall and precision of each class."""

from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PALE,
    SMALL,
    WIDTH,
    add_axes,
    percent_ticks,
    png_figure,
    shorten,
    text_width,
)
from hf_cifar.evaluation.intervals import wilson_interval
from hf_cifar.run.split_metrics import ClassMetrics, SplitMetrics
from hf_cifar.utils.formatting import percent

MAX_BARS = 30
LEGEND = ("recall, 95% interval", "precision")


def per_class_figure(path: Path, split: SplitMetrics) -> None:
    """Draw the recall of each class with its 95% Wilson interval, and its precision; lowest recall first.

    Args:
        path: of the PNG.
        split: metrics of the split; of many classes those with the lowest recall are drawn.
    """
    from matplotlib.patches import Patch

    classes = classes_by_recall(split)
    shown = classes[:MAX_BARS]
    names = [shorten(name, 18) for name, _ in shown]
    left = text_width(names) + 0.1
    height = 0.2 * len(shown)
    total_height = height + 1.0
    subtitle = "Lowest recall first"
    if len(shown) < len(classes):
        subtitle = f"The {len(shown)} of {len(classes)} classes with the lowest recall"
    with png_figure(path, WIDTH, total_height, "Recall and precision by class", subtitle) as figure:
        axis = add_axes(figure, left, 0.3, WIDTH - left - 0.24, height)
        diamonds = _draw_bars(axis, [metrics for _, metrics in shown])
        axis.set_yticks(range(len(shown)), names)
        axis.set_ylim(len(shown) - 0.4, -0.6)
        percent_ticks(axis, "x")
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        figure.legend(
            [Patch(facecolor=PALE, edgecolor=BLUE, linewidth=0.7), diamonds],
            LEGEND,
            loc="upper left",
            bbox_to_anchor=(0, 1 - 0.4 / total_height),
            ncols=2,
            columnspacing=1,
        )


def _draw_bars(axis: Any, classes: list[ClassMetrics]) -> Any:
    """Draw bars of recall with intervals, and return the markers of precision."""
    rows = np.arange(len(classes))
    recall = np.array([metrics.recall for metrics in classes])
    intervals = np.array([recall_interval(metrics) for metrics in classes])
    precision = np.array([metrics.precision for metrics in classes])
    present = np.array([metrics.num_examples > 0 for metrics in classes])
    axis.barh(rows[present], recall[present], 0.62, color=PALE, edgecolor=BLUE, linewidth=0.7)
    axis.hlines(rows[present], *intervals[present].T, color=INK, linewidth=1.2, clip_on=False)
    style = {
        "s": 20,
        "marker": "D",
        "color": ORANGE,
        "edgecolors": INK,
        "linewidths": 0.7,
        "zorder": 3,
        "clip_on": False,
    }
    for row in rows[~present]:
        axis.text(0.01, row, "no images", fontsize=SMALL, color=MUTED, va="center")
    return axis.scatter(precision[present], rows[present], **style)


def classes_by_recall(split: SplitMetrics) -> list[tuple[str, ClassMetrics]]:
    """Return name and metrics of each class, lowest recall first, classes without images last."""
    return sorted(split.per_class.items(), key=lambda item: (item[1].num_examples == 0, item[1].recall))


def recall_interval(metrics: ClassMetrics) -> tuple[float, float]:
    """Return the 95% Wilson interval of the recall of a class, or (0, 1) without images."""
    return wilson_interval(round(metrics.recall * metrics.num_examples), metrics.num_examples)


def describe_per_class(split: SplitMetrics) -> str:
    """Return the alternative text of the figure."""
    classes = [(name, metrics) for name, metrics in classes_by_recall(split) if metrics.num_examples]
    (worst, lowest), (best, highest) = classes[0], classes[-1]
    if len(classes) == 1:
        return f"Recall of {worst}, the only class with images: {percent(lowest.recall)}."
    return (
        f"Recall and precision of {min(len(split.per_class), MAX_BARS)} classes. Lowest recall: {worst}, "
        f"{percent(lowest.recall)}; highest: {best}, {percent(highest.recall)}."
    )

"""How well each class is recognised."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from hf_cifar.evaluation.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PALE,
    SMALL,
    WIDTH,
    axes,
    picture,
    room_for,
    short,
)

MAX_BARS = 30


def per_class_figure(path: Path, section: dict[str, Any]) -> None:
    """A PNG of the recall of each class with its 95 % Wilson interval, and of its precision; the worst class first.

    Args:
        path: of the PNG.
        section: of a split in metrics.json, with `per_class`.
    """
    from matplotlib.patches import Patch

    classes = worst_classes(section)
    shown = classes[:MAX_BARS]
    labels = [f"{short(name, 18)}" for name, _ in shown]
    left = room_for(labels) + 0.1
    height = 0.2 * len(shown)
    total = height + 1.0
    title = "Recall and precision of each class"
    subtitle = "By recall, the worst first"
    if len(shown) < len(classes):
        subtitle = f"The {len(shown)} worst of {len(classes)} classes, by recall"
    with picture(path, WIDTH, total, title, subtitle) as figure:
        axis = axes(figure, left, 0.3, WIDTH - left - 0.24, height)
        places = np.arange(len(shown))
        recall = np.array([figures["recall"] for _, figures in shown])
        intervals = np.array([recall_interval(figures) for _, figures in shown])
        present = np.array([figures["num_examples"] > 0 for _, figures in shown])
        precision = np.array([figures["precision"] for _, figures in shown])
        axis.barh(places[present], recall[present], 0.62, color=PALE, edgecolor=BLUE, linewidth=0.7)
        axis.hlines(places[present], *intervals[present].T, color=INK, linewidth=1.2)
        diamonds = axis.scatter(
            precision[present],
            places[present],
            s=20,
            marker="D",
            color=ORANGE,
            edgecolors=INK,
            linewidths=0.7,
            zorder=3,
        )
        for place in places[~present]:
            axis.text(0.01, place, "no image has this label", fontsize=SMALL, color=MUTED, va="center")
        axis.set_yticks(places, labels)
        axis.set_ylim(len(shown) - 0.4, -0.6)
        axis.set_xlim(0, 1.02)
        axis.set_xticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        key = ["recall and 95 % interval", "precision"]
        figure.legend(
            [Patch(facecolor=PALE, edgecolor=BLUE, linewidth=0.7), diamonds],
            key,
            loc="upper left",
            bbox_to_anchor=(0, 1 - 0.4 / total),
            ncols=2,
            columnspacing=1,
        )


def worst_classes(section: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and figures of each class by recall, the lowest first; classes without images come last."""
    return sorted(section["per_class"].items(), key=lambda item: (item[1]["num_examples"] == 0, item[1]["recall"]))


def recall_interval(figures: dict[str, Any]) -> tuple[float, float]:
    """The 95 % interval of a class's recall (Wilson, 1927), or (0, 1) where it has no image."""
    count = figures["num_examples"]
    if not count:
        return 0.0, 1.0
    interval = binomtest(round(figures["recall"] * count), count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def describe_per_class(section: dict[str, Any]) -> str:
    """The figure in words and numbers, for those who do not see it."""
    classes = [(name, figures) for name, figures in worst_classes(section) if figures["num_examples"]]
    (worst, low), (best, high) = classes[0], classes[-1]
    if len(classes) == 1:
        return f"Recall of the only class with images, {worst}: {low['recall']:.1%}."
    return (
        f"Recall and precision of {min(len(classes), MAX_BARS)} classes. Lowest recall: {worst}, {low['recall']:.1%}; "
        f"highest: {best}, {high['recall']:.1%}."
    )

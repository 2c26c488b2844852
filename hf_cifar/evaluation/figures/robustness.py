"""Accuracy on corrupted images."""

from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.style import (
    INK,
    MUTED,
    SMALL,
    VERMILION,
    WIDTH,
    add_axes,
    percent_ticks,
    png_figure,
    shorten,
    text_width,
)
from hf_cifar.run.stage_metrics import Robustness
from hf_cifar.utils.formatting import percent


def robustness_figure(path: Path, robustness: Robustness) -> None:
    """Draw the accuracy under each corruption by severity, beside the accuracy on clean images.

    Args:
        path: of the PNG.
        robustness: what was measured.
    """
    from matplotlib import colormaps

    corruptions = corruptions_by_accuracy(robustness)
    names = [shorten(name.replace("_", " "), 18) for name, _ in corruptions]
    left, height = text_width(names) + 0.1, 0.26 * len(names)
    accuracies = np.array([values for _, values in corruptions])
    num_severities = accuracies.shape[1]
    clean = percent(robustness.clean_accuracy, robustness.num_examples)
    subtitle = f"Severity 1 (light) to {num_severities} (dark); dashed: clean, {clean}"
    with png_figure(path, WIDTH, height + 1.05, "Accuracy on corrupted images", subtitle) as figure:
        axis = add_axes(figure, left, 0.42, WIDTH - left - 0.24, height)
        axis.axvline(robustness.clean_accuracy, color=VERMILION, linewidth=1.3, linestyle=(0, (4, 2)), zorder=1)
        rows = np.arange(len(corruptions))
        axis.hlines(rows, accuracies.min(axis=1), accuracies.max(axis=1), color=MUTED, linewidth=1, zorder=2)
        shades = colormaps["Blues"](np.linspace(0.1, 0.9, num_severities))
        for severity in range(num_severities):
            points = accuracies[:, severity]
            style: dict[str, Any] = {"s": 30, "edgecolors": INK, "linewidths": 0.6, "zorder": 3, "clip_on": False}
            axis.scatter(points, rows, color=shades[severity], **style)
        axis.set_yticks(rows, names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        percent_ticks(axis, "x")
        axis.set_xlabel("accuracy", fontsize=SMALL)
        axis.tick_params(axis="y", length=0)


def corruptions_by_accuracy(robustness: Robustness) -> list[tuple[str, list[float]]]:
    """Return name and accuracies of each corruption, lowest mean first."""
    return sorted(robustness.corruptions.items(), key=lambda item: sum(item[1]) / len(item[1]))


def describe_robustness(robustness: Robustness) -> str:
    """Return the alternative text of the figure."""
    corruptions, count = corruptions_by_accuracy(robustness), robustness.num_examples
    (worst, lowest), (best, highest) = corruptions[0], corruptions[-1]
    clean = percent(robustness.clean_accuracy, count)
    return (
        f"Accuracy under {len(corruptions)} corruptions by severity: {clean} on clean images, "
        f"{percent(robustness.mean_corruption_accuracy)} on average on corrupted images. Hardest: "
        f"{worst.replace('_', ' ')}, {percent(lowest[-1], count)} at severity {len(lowest)}; easiest: "
        f"{best.replace('_', ' ')}, {percent(highest[-1], count)}."
    )

"""What corruptions cost."""

from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.style import INK, MUTED, SMALL, VERMILION, WIDTH, axes, picture, room_for, short


def robustness_figure(path: Path, robustness: dict[str, Any]) -> None:
    """A PNG of the accuracy under each corruption, by severity, beside that on clean images.

    Args:
        path: of the PNG.
        robustness: the section of metrics.json.
    """
    from matplotlib import colormaps

    corruptions = worst_corruptions(robustness)
    labels = [short(name.replace("_", " "), 18) for name, _ in corruptions]
    clean = robustness["clean_accuracy"]
    left, height = room_for(labels) + 0.1, 0.26 * len(labels)
    severities = len(corruptions[0][1])
    subtitle = f"Severity 1 (light) to {severities} (dark); dashed: clean, {clean:.1%}"
    with picture(path, WIDTH, height + 1.05, "Accuracy under corruption", subtitle) as figure:
        axis = axes(figure, left, 0.42, WIDTH - left - 0.24, height)
        axis.axvline(clean, color=VERMILION, linewidth=1.3, linestyle=(0, (4, 2)), zorder=1)
        places = np.arange(len(corruptions))
        accuracies = np.array([values for _, values in corruptions])
        axis.hlines(places, accuracies.min(axis=1), accuracies.max(axis=1), color=MUTED, linewidth=1, zorder=2)
        shades = colormaps["Blues"](np.linspace(0.1, 0.9, severities))
        for severity in range(severities):
            dots = accuracies[:, severity]
            axis.scatter(dots, places, s=30, color=shades[severity], edgecolors=INK, linewidths=0.6, zorder=3)
        axis.set_yticks(places, labels)
        axis.set_ylim(len(labels) - 0.4, -0.6)
        axis.set_xlim(0, 1)
        axis.set_xticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])
        axis.set_xlabel("accuracy", fontsize=SMALL)
        axis.tick_params(axis="y", length=0)


def worst_corruptions(robustness: dict[str, Any]) -> list[tuple[str, list[float]]]:
    """Name and accuracies of each corruption, that with the lowest mean first."""
    return sorted(robustness["corruptions"].items(), key=lambda item: sum(item[1]) / len(item[1]))


def describe_robustness(robustness: dict[str, Any]) -> str:
    """The figure in words and numbers, for those who do not see it."""
    corruptions = worst_corruptions(robustness)
    (worst, low), (best, high) = corruptions[0], corruptions[-1]
    return (
        f"Accuracy under {len(corruptions)} corruptions by severity: {robustness['clean_accuracy']:.1%} on clean "
        f"images, {robustness['mean_corruption_accuracy']:.1%} on average when corrupted. Hardest: "
        f"{worst.replace('_', ' ')}, {low[-1]:.1%} at severity {len(low)}; easiest: {best.replace('_', ' ')}, "
        f"{high[-1]:.1%}."
    )

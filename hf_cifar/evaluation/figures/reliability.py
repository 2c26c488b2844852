"""The reliability diagram."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cifar.evaluation.calibration import mean_confidence
from hf_cifar.evaluation.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PALE,
    VERMILION,
    WIDTH,
    add_axes,
    percent_ticks,
    png_figure,
)
from hf_cifar.run.split_metrics import ReliabilityBin, SplitMetrics
from hf_cifar.utils.formatting import error, percent

if TYPE_CHECKING:
    from matplotlib.artist import Artist

Bins = list[ReliabilityBin]
SPARSE = 10  # images, below which the accuracy of a bin is mostly chance


def reliability_figure(path: Path, split: SplitMetrics) -> bool:
    """Draw accuracy against confidence, before and after temperature scaling, and the distribution of confidence.

    Neighbouring bins with few images are drawn as one; the calibration error is that of the bins as they are.

    Args:
        path: of the PNG.
        split: metrics of the split.

    Returns:
        Whether there was anything to draw: older metrics have no bins.
    """
    bins, calibrated = split.reliability, split.reliability_calibrated
    if not bins:
        return False
    height = 4.3
    with png_figure(path, WIDTH, height, "Reliability diagram", "Accuracy by confidence") as figure:
        upper = add_axes(figure, 0.62, 1.25, WIDTH - 0.86, 2.2)
        lower = add_axes(figure, 0.62, 0.42, WIDTH - 0.86, 0.58)
        legend = _draw_accuracy(upper, bins, calibrated, split.temperature)
        anchor: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 1 - 0.4 / height), "ncols": 2}
        figure.legend(legend.values(), legend.keys(), **anchor, handlelength=1.6, labelspacing=0.3, columnspacing=1)
        _draw_distribution(lower, bins, calibrated)
    return True


def _draw_accuracy(axis: Any, bins: Bins, calibrated: Bins | None, temperature: float | None) -> "dict[str, Artist]":
    """Draw the upper panel, and return the entries of the legend."""
    filled = merged_bins(bins)
    left = np.array([entry.low for entry in filled])
    width = np.array([entry.high - entry.low for entry in filled])
    accuracy = np.array([entry.accuracy for entry in filled])
    confidence = np.array([entry.confidence for entry in filled])
    bars = axis.bar(left, accuracy, width, align="edge", color=PALE, edgecolor=BLUE, linewidth=0.7)
    hatched = {"facecolor": "none", "edgecolor": VERMILION, "linewidth": 0, "hatch": "/////"}
    gaps = axis.bar(left, confidence - accuracy, width, accuracy, align="edge", **hatched)
    (diagonal,) = axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
    legend = {"uncalibrated": bars[0], "gap to confidence": gaps[0], "perfect calibration": diagonal}
    if calibrated is not None:
        points = [(entry.confidence, entry.accuracy) for entry in merged_bins(calibrated)]
        style = {"marker": "s", "s": 20, "edgecolors": INK, "linewidths": 0.6, "zorder": 3, "clip_on": False}
        # Not joined: between two bins there is nothing that was measured.
        legend[f"temperature {temperature:.3f}"] = axis.scatter(*zip(*points, strict=True), color=ORANGE, **style)
    percent_ticks(axis, "x")
    percent_ticks(axis, "y")
    axis.tick_params(axis="x", labelbottom=False)
    axis.set_ylabel("accuracy", labelpad=2)
    return legend


def merged_bins(bins: Bins) -> Bins:
    """Return the bins with images, those with fewer than `SPARSE` merged with the ones above them.

    What is left over at the top is merged with the bin below it. Confidence and accuracy are means over the images.
    """
    merged: Bins = []
    group: Bins = []
    for entry in bins:
        group += [entry] if entry.count else []
        if sum(item.count for item in group) >= SPARSE:
            merged.append(_as_one(group))
            group = []
    if group:
        merged = [*merged[:-1], _as_one([*merged[-1:], *group])]
    return merged


def _as_one(bins: Bins) -> ReliabilityBin:
    count = sum(entry.count for entry in bins)
    confidence, accuracy = (
        sum(entry.count * float(getattr(entry, name) or 0) for entry in bins) / count
        for name in ("confidence", "accuracy")
    )
    return ReliabilityBin(bins[0].low, bins[-1].high, count, confidence, accuracy)


def _draw_distribution(axis: Any, bins: Bins, calibrated: Bins | None) -> None:
    """Draw the share of the images in each bin."""
    for entries, style in ((bins, {"fill": True, "color": PALE, "edgecolor": BLUE}), (calibrated, {"color": ORANGE})):
        if entries is None:
            continue
        counts = np.array([entry.count for entry in entries])
        edges = [entry.low for entry in entries] + [entries[-1].high]
        axis.stairs(counts / counts.sum(), edges, linewidth=1.2, **style)
    percent_ticks(axis, "x")
    axis.set_ylim(0, min(1.0, axis.get_ylim()[1]))
    top = axis.get_ylim()[1]
    axis.set_yticks([0, top], ["0", f"{top:.0%}"])
    axis.set_xlabel("confidence (probability of the prediction)")
    axis.set_ylabel("images")


def describe_reliability(split: SplitMetrics) -> str | None:
    """Return the alternative text of the figure; None without bins."""
    if not split.reliability:
        return None
    text = (
        f"Reliability diagram with {len(split.reliability)} bins: mean confidence "
        f"{percent(mean_confidence(split.reliability))}, accuracy {percent(split.accuracy, split.num_examples)}, "
        f"expected calibration error {error(split.ece)}"
    )
    if split.temperature is None:
        return f"{text}."
    return f"{text}; {error(split.ece_calibrated)} at temperature {split.temperature:.3f}."

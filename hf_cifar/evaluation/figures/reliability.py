"""Whether a model is right as often as it says."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cifar.evaluation.figures.style import BLUE, INK, MUTED, ORANGE, PALE, VERMILION, WIDTH, axes, picture

if TYPE_CHECKING:
    from matplotlib.artist import Artist

Bins = list[dict[str, Any]]


def reliability_figure(path: Path, section: dict[str, Any]) -> None:
    """A PNG of the accuracy at each confidence, as the model is and after its temperature, and of how many are there.

    Args:
        path: of the PNG.
        section: of a split in metrics.json, with `reliability` and, where a temperature is known,
            `reliability_calibrated` and `temperature`.
    """
    bins, after = section["reliability"], section.get("reliability_calibrated")
    subtitle = "How often an answer is right, by how sure the model is"
    with picture(path, WIDTH, 4.3, "Confidence and accuracy", subtitle) as figure:
        upper = axes(figure, 0.62, 1.25, WIDTH - 0.86, 2.2)
        lower = axes(figure, 0.62, 0.42, WIDTH - 0.86, 0.58)
        key = _accuracies(upper, bins, after, section.get("temperature"))
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 1 - 0.4 / 4.3), "ncols": 2}
        figure.legend(key.values(), key.keys(), **place, handlelength=1.6, labelspacing=0.3, columnspacing=1)
        _shares(lower, bins, after)


def _accuracies(axis: Any, bins: Bins, after: Bins | None, temperature: float | None) -> "dict[str, Artist]":
    filled = [entry for entry in bins if entry["count"]]
    left = np.array([entry["low"] for entry in filled])
    wide = np.array([entry["high"] - entry["low"] for entry in filled])
    accuracy = np.array([entry["accuracy"] for entry in filled])
    confidence = np.array([entry["confidence"] for entry in filled])
    bars = axis.bar(left, accuracy, wide, align="edge", color=PALE, edgecolor=BLUE, linewidth=0.7)
    hatched = {"facecolor": "none", "edgecolor": VERMILION, "linewidth": 0, "hatch": "/////"}
    gaps = axis.bar(left, confidence - accuracy, wide, accuracy, align="edge", **hatched)
    (even,) = axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
    key = {"as the model is": bars[0], "gap to its confidence": gaps[0], "perfect": even}
    if after is not None:
        points = [(entry["confidence"], entry["accuracy"]) for entry in after if entry["count"]]
        style = {"marker": "s", "markersize": 4, "markeredgecolor": INK, "markeredgewidth": 0.6}
        (line,) = axis.plot(*zip(*points, strict=True), color=ORANGE, **style)
        key[f"after temperature {temperature:.2f}"] = line
    _percent(axis, "x")
    _percent(axis, "y")
    axis.tick_params(axis="x", labelbottom=False)
    axis.set_ylabel("accuracy", labelpad=2)
    return key


def _shares(axis: Any, bins: Bins, after: Bins | None) -> None:
    """How many of the images have each confidence."""
    for entries, style in ((bins, {"fill": True, "color": PALE, "edgecolor": BLUE}), (after, {"color": ORANGE})):
        if entries is None:
            continue
        counts = np.array([entry["count"] for entry in entries])
        edges = [entry["low"] for entry in entries] + [entries[-1]["high"]]
        axis.stairs(counts / counts.sum(), edges, linewidth=1.2, **style)
    _percent(axis, "x")
    axis.set_ylim(0, None)
    top = axis.get_ylim()[1]
    axis.set_yticks([0, top], ["0", f"{top:.0%}"])
    axis.set_xlabel("confidence: probability of the answer")
    axis.set_ylabel("images")


def _percent(axis: Any, which: str) -> None:
    ticks = np.linspace(0, 1, 6)
    getattr(axis, f"set_{which}ticks")(ticks, [f"{share:.0%}" for share in ticks])
    getattr(axis, f"set_{which}lim")(0, 1)


def mean_confidence(bins: Bins) -> float:
    """How sure a model is on average, from its bins."""
    total = sum(entry["count"] for entry in bins)
    return sum(entry["count"] * entry["confidence"] for entry in bins if entry["count"]) / total


def describe_reliability(section: dict[str, Any]) -> str:
    """The figure in words and numbers, for those who do not see it."""
    said = (
        f"Reliability diagram in {len(section['reliability'])} bins: mean confidence "
        f"{mean_confidence(section['reliability']):.1%}, accuracy {section['accuracy']:.1%}, "
        f"expected calibration error {section['ece']:.1%}"
    )
    if section.get("temperature") is None:
        return f"{said}."
    return f"{said}; {section['ece_calibrated']:.1%} after temperature {section['temperature']:.2f}."

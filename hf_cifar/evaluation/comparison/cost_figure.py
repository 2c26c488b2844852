"""Accuracy against cost, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_cifar.utils.files import write_aside

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")  # Okabe and Ito
MARKERS = "osD^vPX*"
INK = "0.2"
NAME_HEIGHT = 0.17  # inches
DPI = 150


def cost_figure(path: Path, runs: Sequence[dict[str, Any]], title: str, device: str) -> None:
    """A PNG of accuracy, with its 95 % interval, against operations and against latency; the same bytes each time.

    Args:
        path: of the PNG.
        runs: as in compare.json; those without a cost are left out.
        title: above it all.
        device: in words, where the latency was measured.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    shown = sorted((run for run in runs if run["gflops"] is not None), key=lambda run: run["accuracy"])
    height = max(4.2, 0.25 * len(shown) + 1.6)
    figure = Figure(figsize=(9.6, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    panels = (
        ("gflops", "GFLOPs per image"),
        ("latency_ms", f"latency of one image (ms)\nmedian and quartiles on {device}"),
    )
    for axis, (cost, name) in zip(axes, panels, strict=True):
        for place, run in enumerate(shown):
            _point(axis, run, cost, place)
        _cost_axis(axis, [value for run in shown for value in (run[cost], *run.get(f"{cost}_quartiles", ()))], name)
    axes[0].set_ylabel("accuracy (%), 95 % interval")
    axes[0].yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    figure.suptitle(title, fontsize=10, color=INK)
    _name_points(axes[1], shown, NAME_HEIGHT / (height - 1.1))
    write_aside(path, lambda aside: figure.savefig(aside, format="png", dpi=DPI, metadata={"Software": None}))


def _point(axis: Any, run: dict[str, Any], cost: str, place: int) -> None:
    """One run, on a hairline that leads to its name; what was measured with the middle half of its measurements."""
    accuracy = 100 * run["accuracy"]
    low, high = (100 * bound for bound in run["accuracy_ci95"])
    colour = COLOURS[place % len(COLOURS)]
    axis.axhline(accuracy, color=colour, linewidth=0.6, alpha=0.35, zorder=1)
    fast, slow = run.get(f"{cost}_quartiles", (run[cost], run[cost]))
    axis.errorbar(
        run[cost],
        accuracy,
        xerr=[[max(0.0, run[cost] - fast)], [max(0.0, slow - run[cost])]],
        yerr=[[max(0.0, accuracy - low)], [max(0.0, high - accuracy)]],
        color=colour,
        marker=MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
        markersize=6,
        markeredgecolor="white",
        markeredgewidth=0.6,
        linewidth=1.2,
        capsize=2,
        zorder=3,
    )


def _cost_axis(axis: Any, costs: Sequence[float], title: str) -> None:
    """A logarithmic axis that spans at least a factor of four, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(costs), max(costs)
    room = max(1.3, 2 / (high / low) ** 0.5)
    axis.set_xscale("log")
    axis.set_xlim(low / room, high * room)
    # The fewer decades, the more numbers between them.
    between = (1, 1.5, 2, 3, 4, 5, 7) if high / low < 4 else (1, 2, 5) if high / low < 200 else (1,)
    axis.xaxis.set_major_locator(LogLocator(subs=between))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(title)
    axis.grid(axis="x", color="0.92", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _name_points(axis: Any, runs: Sequence[dict[str, Any]], apart: float) -> None:
    """Each run's name to the right of the axis, beside its hairline or as near as the other names let it be."""
    low, high = axis.get_ylim()
    points = [(100 * run["accuracy"] - low) / (high - low) for run in runs]
    for place, (run, point, label) in enumerate(zip(runs, points, spread(points, apart), strict=True)):
        colour = COLOURS[place % len(COLOURS)]
        axis.annotate(
            f"{run['name']}  {run['accuracy']:.2%}",
            (1, point),
            (1.08, label),
            "axes fraction",
            "axes fraction",
            color=INK,
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),
                "color": colour,
                "linewidth": 0.8,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Ascending places moved as little as it takes for each to be so far from the next.

    Args:
        places: ascending.
        apart: the least distance.

    Returns:
        one for each, ascending; those that stand too close are moved as a group around their mean.
    """
    # Groups of (mean of what its members would have as first place, size), merged while they overlap.
    groups: list[tuple[float, int]] = []
    for place in places:
        start, size = place, 1
        while groups and start < groups[-1][0] + groups[-1][1] * apart:
            before, count = groups.pop()
            start = (before * count + (start - count * apart) * size) / (count + size)
            size += count
        groups.append((start, size))
    return [start + at * apart for start, size in groups for at in range(size)]

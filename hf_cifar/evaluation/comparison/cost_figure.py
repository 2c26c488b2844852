"""The figure of accuracy against cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.evaluation.comparison.rows import ModelCost, RunRow
from hf_cifar.evaluation.figures.labels import spread
from hf_cifar.evaluation.figures.style import GRID, INK, PAPER, SERIES, png_figure, shorten
from hf_cifar.utils.formatting import percent

MARKERS = "osD^vPX*"
WIDTH = 8.0  # inches
HEADER = 0.5  # inches, of title and subtitle
LABEL_HEIGHT = 0.17  # inches


@dataclass(frozen=True)
class _Panel:
    """One of the two diagrams.

    Attributes:
        label: of the x axis.
        value: the cost that is drawn.
        interval: the middle half of its measurements, or the value itself.
    """

    label: str
    value: Callable[[ModelCost], float]
    interval: Callable[[ModelCost], tuple[float, float]]


@dataclass(frozen=True)
class _Point:
    """One run of the figure, with its cost."""

    run: RunRow
    cost: ModelCost
    colour: str
    marker: str


def cost_figure(path: Path, runs: Sequence[RunRow], title: str, device: str) -> None:
    """Draw accuracy, with its 95% interval, against operations and against latency.

    Args:
        path: of the PNG.
        runs: those without a cost are left out; at least one has a cost.
        title: of the figure.
        device: that the latency was measured on.
    """
    from matplotlib.ticker import MaxNLocator

    points = _points(runs)
    height = max(4.2, 0.25 * len(points) + 1.6)
    panels = (
        _Panel("GFLOPs per image", lambda cost: cost.gflops, lambda cost: (cost.gflops, cost.gflops)),
        _Panel(
            f"latency of one image (ms)\nmedian and quartiles on {shorten(device, 40)}",
            lambda cost: cost.latency_ms,
            lambda cost: cost.latency_ms_quartiles,
        ),
    )
    with png_figure(path, WIDTH, height, title, "Accuracy with its 95% interval against cost") as figure:
        figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - HEADER / height))
        axes = figure.subplots(1, 2, sharey=True)
        for axis, panel in zip(axes, panels, strict=True):
            for point in points:
                _draw_point(axis, point, panel)
            bounds = [bound for point in points for bound in (panel.value(point.cost), *panel.interval(point.cost))]
            _set_cost_axis(axis, bounds, panel.label)
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(max(low, 0), min(high, 100))
        axes[0].set_ylabel("accuracy (%)")
        axes[0].yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        _label_points(axes[1], points, LABEL_HEIGHT / (height - HEADER - 0.8))


def _points(runs: Sequence[RunRow]) -> list[_Point]:
    """Return the runs that have a cost, by rising accuracy, each with its own colour and marker."""
    measured = sorted(((run, run.cost) for run in runs if run.cost), key=lambda item: item[0].accuracy)
    return [
        _Point(run, cost, SERIES[index % len(SERIES)], MARKERS[(index + index // len(SERIES)) % len(MARKERS)])
        for index, (run, cost) in enumerate(measured)
    ]


def _draw_point(axis: Any, point: _Point, panel: _Panel) -> None:
    """Draw one run with its intervals, on a hairline that leads to its name."""
    accuracy, value = 100 * point.run.accuracy, panel.value(point.cost)
    low, high = (100 * bound for bound in point.run.accuracy_ci95)
    fast, slow = panel.interval(point.cost)
    axis.axhline(accuracy, color=point.colour, linewidth=0.6, alpha=0.35, zorder=1)
    axis.errorbar(
        value,
        accuracy,
        xerr=[[max(0.0, value - fast)], [max(0.0, slow - value)]],
        yerr=[[max(0.0, accuracy - low)], [max(0.0, high - accuracy)]],
        color=point.colour,
        marker=point.marker,
        markersize=6,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
        linewidth=1.2,
        capsize=2,
        zorder=3,
    )


def _set_cost_axis(axis: Any, costs: Sequence[float], label: str) -> None:
    """Make the x axis logarithmic, over at least a factor of four, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(costs), max(costs)
    margin = max(1.3, 2 / (high / low) ** 0.5)
    axis.set_xscale("log")
    axis.set_xlim(low / margin, high * margin)
    # The fewer decades, the more ticks between them.
    subs = (1, 1.5, 2, 3, 4, 5, 7) if high / low < 4 else (1, 2, 5) if high / low < 200 else (1,)
    axis.xaxis.set_major_locator(LogLocator(subs=subs))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(label)
    axis.grid(False, axis="y")
    axis.grid(axis="x", color=GRID, linewidth=0.6)


def _label_points(axis: Any, points: Sequence[_Point], gap: float) -> None:
    """Write name and accuracy of each run to the right of the axis, as near to its hairline as others allow."""
    low, high = axis.get_ylim()
    heights = [(100 * point.run.accuracy - low) / (high - low) for point in points]
    for point, height, position in zip(points, heights, spread(heights, gap), strict=True):
        arrow = {"arrowstyle": "-", "relpos": (0, 0.5), "color": point.colour, "linewidth": 0.8, "alpha": 0.6}
        axis.annotate(
            f"{shorten(point.run.name, 40)}  {percent(point.run.accuracy, point.run.num_examples)}",
            (1, height),
            (1.08, position),
            "axes fraction",
            "axes fraction",
            color=INK,
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={**arrow, "shrinkA": 1, "shrinkB": 0},
        )

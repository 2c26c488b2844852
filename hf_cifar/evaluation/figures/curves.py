"""Training curves: losses, validation metrics and learning rates."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.labels import spread
from hf_cifar.evaluation.figures.style import INK, MUTED, SERIES, SMALL, WIDTH, add_axes, png_figure, shorten
from hf_cifar.evaluation.history import History
from hf_cifar.evaluation.wording import METRIC_NAMES
from hf_cifar.run.train_summary import Chosen
from hf_cifar.utils.formatting import error, percent

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MAX_LABELS = 6  # of lines in one panel
LABEL_HEIGHT = 0.13  # inches
Line = tuple[list[float], list[float]]  # x and y values


@dataclass
class Panel:
    """One panel of the figure: lines by epoch, or by L2 strength.

    Attributes:
        title: with the unit.
        lines: by their names.
        selected: the name of the line that was selected, where they compete.
        is_fraction: whether the values are fractions, to be shown in percent.
        log: whether the y axis is logarithmic.
        ordered: whether the lines have an order, as layers do.
    """

    title: str
    lines: dict[str, Line] = field(default_factory=dict)
    selected: str = ""
    is_fraction: bool = False
    log: bool = False
    ordered: bool = False


def curves_figure(path: Path, history: History, chosen: Chosen | None = None) -> bool:
    """Draw losses, validation metrics and the learning rates of the layer groups, or of a probe's competing heads.

    Args:
        path: of the PNG.
        history: rows of `history.csv`, without their empty columns.
        chosen: what was selected on validation; its epoch, learning rate or L2 strength is marked.

    Returns:
        Whether there was anything to draw.
    """
    from matplotlib.ticker import MaxNLocator

    chosen = chosen or Chosen()
    panels = _panels(history, chosen)
    if not panels:
        return False
    by = _x_column(history)
    selected = chosen.epoch if by == "epoch" else chosen.strength
    heights = [1.05 + 0.6 * (len(panel.lines) > 4) for panel in panels]
    total_height = sum(heights) + 0.42 * len(panels) + 0.75
    with png_figure(path, WIDTH, total_height, "Training curves", _subtitle(panels, by, selected)) as figure:
        bottom, limits = total_height - 0.4, _x_limits(panels, by)
        for panel, height in zip(panels, heights, strict=True):
            bottom -= height + 0.3
            axis = add_axes(figure, 0.52, bottom, WIDTH - 1.4, height)
            axis.set_xscale("log" if by == "strength" else "linear")
            axis.set_xlim(limits)
            if selected is not None:
                axis.axvline(selected, color=INK, linewidth=1, zorder=1)
            _draw_panel(axis, panel, height)
            bottom -= 0.12
            axis.tick_params(axis="x", labelbottom=panel is panels[-1])
            if by == "epoch":
                axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
        axis.set_xlabel("epoch" if by == "epoch" else "L2 strength")
    return True


def _x_column(history: History) -> str:
    return "epoch" if "epoch" in history[0] else "strength"


def _subtitle(panels: list[Panel], by: str, selected: float | None) -> str:
    if panels[0].selected:
        return f"Bold: selected learning rate, {panels[0].selected}"
    if selected is None:
        return ""
    return f"Vertical line: selected {'epoch' if by == 'epoch' else 'L2 strength'}, {selected:g}"


def _panels(history: History, chosen: Chosen) -> list[Panel]:
    """Return the panels that there is anything to draw in."""
    if not history:
        return []
    by = _x_column(history)
    # Heads are drawn by what they were chosen by; the NLL of one that has diverged is not recorded.
    metric = chosen.metric if chosen.metric in ("balanced_accuracy", "f1_macro") else "accuracy"
    heads = _columns(history, f"validation_{metric}/")
    selected = f"{chosen.learning_rate:g}" if heads and chosen.learning_rate is not None else ""
    training, validation = _line(history, by, "loss"), _line(history, by, "validation_nll")
    if heads:
        lines = {name: _line(history, by, f"validation_{metric}/{name}") for name in heads}
        panels = [
            Panel(f"validation {METRIC_NAMES[metric]} by learning rate", lines, selected=selected, is_fraction=True),
            Panel("training loss (nats), mean over heads", {"training": training}),
            Panel("validation loss (nats), best head", {"validation": validation}),
        ]
    else:
        shown = ["accuracy", *(["balanced_accuracy"] if metric == "balanced_accuracy" else []), "f1_macro"]
        scores = {METRIC_NAMES[name]: f"validation_{name}" for name in shown}
        panels = [
            Panel("loss (nats)", {"training": training, "validation": validation}),
            Panel(
                "validation metrics",
                {name: _line(history, by, column) for name, column in scores.items()},
                is_fraction=True,
            ),
            _learning_rates(history, by),
        ]
    for panel in panels:
        panel.lines = {name: line for name, line in panel.lines.items() if line[0]}
    return [panel for panel in panels if panel.lines]


def _learning_rates(history: History, by: str) -> Panel:
    """Return the learning rates of the layer groups; groups with the same rates share a line."""
    columns = _columns(history, "learning_rate/") or ([""] if any("learning_rate" in row for row in history) else [])
    groups: dict[tuple[Any, ...], list[str]] = {}
    for group in columns:
        line = _line(history, by, f"learning_rate/{group}" if group else "learning_rate")
        groups.setdefault((tuple(line[0]), tuple(line[1])), []).append(group)
    panel = Panel("learning rate", ordered=True)
    for (x, y), names in groups.items():
        name = "all layers" if len(groups) == 1 else _short_name(names[0])
        if len(names) > 1 and len(groups) > 1:
            name += f" to {_short_name(names[-1])}"
        panel.lines[name] = list(x), list(y)
    peaks = [max(y, default=0) for _, y in panel.lines.values()]
    panel.log = len(peaks) > 1 and 0 < 5 * min(peaks) < max(peaks)
    return panel


def _draw_panel(axis: Any, panel: Panel, height: float) -> None:
    axis.set_title(panel.title, loc="left", fontsize=SMALL, pad=3)
    has_markers = max(len(x) for x, _ in panel.lines.values()) <= 30
    for index, (name, (x, y)) in enumerate(panel.lines.items()):
        width = 2.2 if name == panel.selected else 1.3
        axis.plot(
            x,
            y,
            color=INK if name == panel.selected else _colour(panel, index),
            linestyle="-" if panel.ordered else LINE_STYLES[index % len(LINE_STYLES)],
            linewidth=width,
            marker="o" if has_markers else None,
            markersize=width + 1.3,
            clip_on=not panel.is_fraction,
        )
    axis.margins(y=0.12)
    if panel.is_fraction:  # what is at 100% lies on the edge, and nothing is above it
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, 0.0), min(high, 1.0))
    if panel.log:
        axis.set_yscale("log")
        # Schedules end near zero: four powers of ten are enough.
        top = max(max(y) for _, y in panel.lines.values())
        axis.set_ylim(0.5e-4 * top, 2 * top)
    ticks = [tick for tick in axis.get_yticks() if axis.get_ylim()[0] <= tick <= axis.get_ylim()[1]]
    axis.set_ylim(axis.get_ylim())
    axis.set_yticks(ticks, [f"{tick:.0%}" if panel.is_fraction else f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    _label_ends(axis, panel, height)


def _x_limits(panels: list[Panel], by: str) -> tuple[float, float]:
    """Return the limits of the x axis, the same in all panels."""
    values = [value for panel in panels for x, _ in panel.lines.values() for value in x]
    low, high = min(values), max(values)
    if by == "strength":
        return low / 1.5, high * 1.5
    margin = 0.03 * (high - low) or 0.5
    return low - margin, high + margin


def _colour(panel: Panel, index: int) -> Any:
    if not panel.ordered or len(panel.lines) == 1:
        return SERIES[index % len(SERIES)]
    import matplotlib

    # From light to dark with the depth of the layers.
    return matplotlib.colormaps["viridis_r"](0.1 + 0.9 * index / (len(panel.lines) - 1))


def _label_ends(axis: Any, panel: Panel, height: float) -> None:
    """Write the name of each line at its right end, without overlap; of many lines some are named."""
    names = list(panel.lines)
    if len(names) > MAX_LABELS + 1:
        names = [names[index] for index in np.linspace(0, len(names) - 1, MAX_LABELS).round().astype(int)]
    ends = np.array([(panel.lines[name][0][-1], panel.lines[name][1][-1]) for name in names])
    if panel.log:
        ends[:, 1] = np.maximum(ends[:, 1], axis.get_ylim()[0])
    ends = axis.transAxes.inverted().transform(axis.transData.transform(ends))[:, 1].clip(0, 1)
    order = np.argsort(ends, kind="stable")
    for position, index in zip(spread(ends[order].tolist(), LABEL_HEIGHT / height), order, strict=True):
        name = names[index]
        # A short stroke leads from the end of the line to its name.
        stroke = ([1, 1.03], [ends[index], position])
        axis.plot(*stroke, transform=axis.transAxes, clip_on=False, linewidth=0.7, color=MUTED)
        axis.text(
            1.05,
            position,
            shorten(name, 13),
            transform=axis.transAxes,
            fontsize=SMALL,
            va="center",
            weight="bold" if name == panel.selected else "normal",
        )


def _line(history: History, by: str, column: str) -> Line:
    points = sorted((row[by], row[column]) for row in history if column in row and by in row)
    return [x for x, _ in points], [y for _, y in points]


def _columns(history: History, prefix: str) -> list[str]:
    """Return what follows a prefix in the names of columns, in their order."""
    return list(dict.fromkeys(name[len(prefix) :] for row in history for name in row if name.startswith(prefix)))


def _short_name(group: str) -> str:
    """Return the end of a layer's name that identifies it: `stages.3` of `resnet.encoder.stages.3`."""
    parts = group.split(".")
    return ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]


def describe_curves(history: History, chosen: Chosen | None = None) -> str:
    """Return the alternative text of the figure.

    Args:
        history: rows of `history.csv`, at least one.
        chosen: what was selected on validation.
    """
    by, chosen = _x_column(history), chosen or Chosen()
    scores = [row["validation_accuracy"] for row in history if "validation_accuracy" in row]
    losses = [row["loss"] for row in history if "loss" in row]
    if by == "strength":
        parts = [f"Validation accuracy at {len(scores)} L2 strengths"]
    else:
        parts = [f"Training curves over {max(row.get('epoch', 0.0) for row in history):g} epochs"]
        if losses:
            parts.append(f"training loss from {error(losses[0])} to {error(losses[-1])}")
    if scores:
        parts.append(f"validation accuracy from {percent(scores[0])} to {percent(scores[-1])}")
        parts.append(f"best {percent(max(scores))}")
    selections = {"epoch": chosen.epoch, "learning rate": chosen.learning_rate, "L2 strength": chosen.strength}
    selected = [f"selected: {name} {value:g}" for name, value in selections.items() if value is not None]
    return "; ".join(parts + selected[:1]) + "."

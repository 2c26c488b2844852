"""How training went."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILION,
    WIDTH,
    axes,
    picture,
    short,
)

History = Sequence[dict[str, float]]
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, MUTED)
STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MAX_LABELS = 6  # of lines in one panel
LINE = 0.13  # inches from one label to the next


@dataclass
class Panel:
    """One of the diagrams above each other: lines by epoch, or by the strength of the penalty.

    Attributes:
        title: what is drawn, with its unit.
        lines: of each its name, the horizontal and the vertical values.
        strong: the name of the line that was kept, where they compete.
        percent: whether the values are shares.
        log: whether the vertical axis is logarithmic.
        ordered: whether the lines follow each other, as layers do.
    """

    title: str
    lines: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    strong: str = ""
    percent: bool = False
    log: bool = False
    ordered: bool = False


def curves_figure(path: Path, history: History, chosen: dict[str, float] | None = None) -> bool:
    """A PNG of loss, validation metrics and the learning rate of each layer group, or of a probe's competing heads.

    Args:
        path: of the PNG.
        history: rows of history.csv, without the columns that are empty.
        chosen: what training chose: the `epoch`, `learning_rate` or `strength`; it is marked.

    Returns:
        Whether there was anything to draw.
    """
    from matplotlib.ticker import MaxNLocator

    panels = _panels(history, chosen or {})
    if not panels:
        return False
    by = "epoch" if "epoch" in history[0] else "strength"
    kept = (chosen or {}).get(by)
    heights = [1.05 + 0.6 * (len(panel.lines) > 4) for panel in panels]
    height = sum(heights) + 0.42 * len(panels) + 0.75
    strong = panels[0].strong
    subtitle = f"Upright line: the {by} that was kept, {kept:g}" if kept is not None else ""
    if strong:
        subtitle = f"Bold: the learning rate that was kept, {strong}"
    with picture(path, WIDTH, height, "How training went", subtitle) as figure:
        bottom, across = height - 0.4, _extent(panels, by)
        for panel, size in zip(panels, heights, strict=True):
            bottom -= size + 0.3
            axis = axes(figure, 0.52, bottom, WIDTH - 1.4, size)
            axis.set_xscale("log" if by == "strength" else "linear")
            axis.set_xlim(across)
            if kept is not None:
                axis.axvline(kept, color=INK, linewidth=1, zorder=1)
            _draw(axis, panel, size)
            bottom -= 0.12
            axis.tick_params(axis="x", labelbottom=panel is panels[-1])
            if by == "epoch":
                axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
        axis.set_xlabel("epoch" if by == "epoch" else "strength of the penalty")
    return True


def _panels(history: History, chosen: dict[str, float]) -> list[Panel]:
    if not history:
        return []
    by = "epoch" if "epoch" in history[0] else "strength"
    heads = _columns(history, "validation_accuracy/")
    kept = f"{chosen['learning_rate']:g}" if heads and "learning_rate" in chosen else ""
    training, held_out = _line(history, by, "loss"), _line(history, by, "validation_nll")
    if heads:
        found = [
            Panel("validation accuracy, by learning rate", _lines(history, by, heads), strong=kept, percent=True),
            Panel("training loss (nats), mean of all heads", {"training": training}),
            Panel("validation loss (nats), best head", {"validation": held_out}),
        ]
    else:
        scores = {"accuracy": "validation_accuracy", "macro F1": "validation_f1_macro"}
        found = [
            Panel("loss (nats)", {"training": training, "validation": held_out}),
            Panel(
                "on validation",
                {name: _line(history, by, column) for name, column in scores.items()},
                percent=True,
            ),
            _rates(history, by),
        ]
    for panel in found:
        panel.lines = {name: line for name, line in panel.lines.items() if line[0]}
    return [panel for panel in found if panel.lines]


def _rates(history: History, by: str) -> Panel:
    """The learning rate of each layer group; groups with the same are one line."""
    columns = _columns(history, "learning_rate/") or ([""] if any("learning_rate" in row for row in history) else [])
    groups: dict[tuple[Any, ...], list[str]] = {}
    for group in columns:
        line = _line(history, by, f"learning_rate/{group}" if group else "learning_rate")
        groups.setdefault((tuple(line[0]), tuple(line[1])), []).append(group)
    panel = Panel("learning rate", ordered=True)
    for (across, up), names in groups.items():
        name = "all layers" if len(groups) == 1 else _layer(names[0])
        if len(names) > 1 and len(groups) > 1:
            name += f" to {_layer(names[-1])}"
        panel.lines[name] = list(across), list(up)
    tops = [max(up, default=0) for _, up in panel.lines.values()]
    panel.log = len(tops) > 1 and 0 < 5 * min(tops) < max(tops)
    return panel


def _draw(axis: Any, panel: Panel, height: float) -> None:
    axis.set_title(panel.title, loc="left", fontsize=SMALL, pad=3)
    few = max(len(across) for across, _ in panel.lines.values()) <= 30
    for number, (name, (across, up)) in enumerate(panel.lines.items()):
        weight = 2.2 if name == panel.strong else 1.3
        axis.plot(
            across,
            up,
            color=INK if name == panel.strong else _colour(panel, number),
            linestyle="-" if panel.ordered else STYLES[number % len(STYLES)],
            linewidth=weight,
            marker="o" if few else None,
            markersize=weight + 1.3,
        )
    axis.margins(y=0.12)
    if panel.log:
        axis.set_yscale("log")
        # The end of a schedule is nearly nothing: four powers of ten are enough.
        top = max(max(up) for _, up in panel.lines.values())
        axis.set_ylim(0.5e-4 * top, 2 * top)
    ticks = [tick for tick in axis.get_yticks() if axis.get_ylim()[0] <= tick <= axis.get_ylim()[1]]
    axis.set_ylim(axis.get_ylim())
    axis.set_yticks(ticks, [f"{tick:.0%}" if panel.percent else f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    _label_ends(axis, panel, height)


def _extent(panels: list[Panel], by: str) -> tuple[float, float]:
    """From where to where the horizontal axis goes, the same in all panels."""
    values = [value for panel in panels for across, _ in panel.lines.values() for value in across]
    low, high = min(values), max(values)
    if by == "strength":
        return low / 1.5, high * 1.5
    room = 0.03 * (high - low) or 0.5
    return low - room, high + room


def _colour(panel: Panel, number: int) -> Any:
    if not panel.ordered or len(panel.lines) == 1:
        return COLOURS[number % len(COLOURS)]
    import matplotlib

    # From light to dark with the depth of the layers.
    return matplotlib.colormaps["viridis_r"](0.1 + 0.9 * number / (len(panel.lines) - 1))


def _label_ends(axis: Any, panel: Panel, height: float) -> None:
    """The name of each line at its right end, moved up or down where two would overlap; of many lines, some."""
    names = list(panel.lines)
    if len(names) > MAX_LABELS + 1:
        names = [names[number] for number in np.linspace(0, len(names) - 1, MAX_LABELS).round().astype(int)]
    ends = np.array([(panel.lines[name][0][-1], panel.lines[name][1][-1]) for name in names])
    if panel.log:
        ends[:, 1] = np.maximum(ends[:, 1], axis.get_ylim()[0])
    ends = axis.transAxes.inverted().transform(axis.transData.transform(ends))[:, 1].clip(0, 1)
    step = LINE / height
    order = np.argsort(ends, kind="stable")
    wanted = ends[order]
    for _ in range(50):
        overlap = np.maximum(step - np.diff(wanted), 0) / 2
        wanted[1:] += overlap
        wanted[:-1] -= overlap
    for place, which in zip(wanted, order, strict=True):
        name = names[which]
        # A short stroke leads from the end of the line to its name.
        stroke = ([1, 1.03], [ends[which], place])
        axis.plot(*stroke, transform=axis.transAxes, clip_on=False, linewidth=0.7, color=MUTED)
        axis.text(
            1.05,
            place,
            short(name, 13),
            transform=axis.transAxes,
            fontsize=SMALL,
            va="center",
            weight="bold" if name == panel.strong else "normal",
        )


def _line(history: History, by: str, column: str) -> tuple[list[float], list[float]]:
    points = sorted((row[by], row[column]) for row in history if column in row and by in row)
    return [across for across, _ in points], [up for _, up in points]


def _lines(history: History, by: str, names: list[str]) -> dict[str, tuple[list[float], list[float]]]:
    return {name: _line(history, by, f"validation_accuracy/{name}") for name in names}


def _columns(history: History, prefix: str) -> list[str]:
    """What follows a prefix in the names of columns, in their order."""
    return list(dict.fromkeys(name[len(prefix) :] for row in history for name in row if name.startswith(prefix)))


def _layer(group: str) -> str:
    """The end of a layer's name that tells it from the others: `stages.3` of `resnet.encoder.stages.3`."""
    parts = group.split(".")
    return ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]


def describe_curves(history: History, chosen: dict[str, float] | None = None) -> str:
    """The figure in words and numbers, for those who do not see it."""
    chosen = chosen or {}
    scores = [(row["validation_accuracy"], row) for row in history if "validation_accuracy" in row]
    losses = [row["loss"] for row in history if "loss" in row]
    if "epoch" not in history[0]:
        said = [f"Validation accuracy at {len(scores)} strengths of the penalty"]
    else:
        said = [f"Learning curves over {max(row['epoch'] for row in history):g} epochs"]
        if losses:
            said.append(f"training loss from {losses[0]:.3g} to {losses[-1]:.3g}")
    if scores:
        said.append(f"validation accuracy from {scores[0][0]:.1%} to {scores[-1][0]:.1%}")
        said.append(f"at best {max(score for score, _ in scores):.1%}")
    for name in ("epoch", "learning_rate", "strength"):
        if name in chosen:
            said.append(f"{name.replace('_', ' ')} {chosen[name]:g} was kept")
            break
    return "; ".join(said) + "."

"""Runs side by side, as tables of text: Markdown for a file and the screen, HTML for a notebook."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

BLANK = "—"


@dataclass(frozen=True)
class Table:
    """Cells with a heading for each column; numbers stand to the right.

    Attributes:
        title: of the whole.
        columns: their headings.
        rows: one cell a column.
        names: how many columns, from the left, are words.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    names: int = 1

    def markdown(self) -> str:
        """The table in Markdown, its columns aligned for reading as plain text too."""
        cells = [[_escaped(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(3, *(len(row[at]) for row in cells)) for at in range(len(self.columns))]
        lines = [self._line(row, widths) for row in cells]
        marks = ["-" * width if at < self.names else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
        return "\n".join([lines[0], f"| {' | '.join(marks)} |", *lines[1:]])

    def html(self) -> str:
        """The table in HTML, with the title as its caption."""
        rows = [self._html_row("th", self.columns), *(self._html_row("td", row) for row in self.rows)]
        return f"<table><caption>{escape(self.title)}</caption>{''.join(rows)}</table>"

    def _line(self, row: list[str], widths: list[int]) -> str:
        padded = [
            cell.ljust(width) if at < self.names else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    def _html_row(self, tag: str, row: list[str]) -> str:
        sides = ["left" if at < self.names else "right" for at in range(len(row))]
        cells = [
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>' for side, cell in zip(sides, row, strict=True)
        ]
        return f"<tr>{''.join(cells)}</tr>"


def quality_table(runs: list[dict[str, Any]]) -> Table:
    """How good each run is. Columns that no run can fill are left out but for the usual ones."""
    columns: list[tuple[str, Callable[[dict[str, Any]], str], bool]] = [
        ("accuracy (95 % interval)", _accuracy, True),
        ("macro F1", lambda run: percent(run["f1_macro"]), True),
        ("top-5", lambda run: percent(run["top5_accuracy"]), True),
        ("ECE", lambda run: _number(run["ece"], "{:.3f}"), True),
        ("ECE calibrated", lambda run: _number(run["ece_calibrated"], "{:.3f}"), False),
        ("corrupted images", lambda run: percent(run["mean_corruption_accuracy"]), False),
    ]
    return _table("Accuracy", columns, runs)


def cost_table(runs: list[dict[str, Any]], batch_size: int) -> Table:
    """What each run costs."""
    columns: list[tuple[str, Callable[[dict[str, Any]], str], bool]] = [
        ("input", lambda run: "×".join(map(str, run["image_size"])) if run["image_size"] else BLANK, True),
        ("parameters", lambda run: _count(run["parameters"]), True),
        ("GFLOPs per image", lambda run: _number(run["gflops"], "{:.3g}"), True),
        (f"images/s (batch of {batch_size})", lambda run: _number(run["images_per_second"], "{:,.0f}"), True),
        ("latency of one image", lambda run: _number(run["latency_ms"], "{:,.3g} ms"), True),
        ("training: peak memory", lambda run: _number(run["peak_memory_mb"], "{:,.0f} MB"), True),
        ("training: time", lambda run: _duration(run["training_seconds"]), True),
    ]
    return _table("Cost", columns, runs)


def pair_table(pairs: list[dict[str, Any]]) -> Table:
    """Every two runs, and whether they differ by more than chance."""
    several = len(pairs) > 1
    columns = ["first", "second", "only first right", "only second right", "difference (95 % interval)", "p"]
    rows = []
    for pair in pairs:
        low, high = pair["difference_ci95"]
        gap = f"{100 * pair['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
        counts = [f"{pair[name]:,}" for name in ("only_first_right", "only_second_right")]
        chances = [pair["p_value"], pair["p_value_holm"]] if several else [pair["p_value"]]
        rows.append([pair["first"], pair["second"], *counts, gap, *map(probability, chances)])
    return Table("McNemar's test", [*columns, "p (Holm)"] if several else columns, rows, names=2)


def percent(value: float | None) -> str:
    """A fraction as a percentage."""
    return _number(value, "{:.2%}")


def probability(value: float) -> str:
    """A p value with as many digits as are read."""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _table(
    title: str, columns: list[tuple[str, Callable[[dict[str, Any]], str], bool]], runs: list[dict[str, Any]]
) -> Table:
    found = [(name, [write(run) for run in runs], always) for name, write, always in columns]
    kept = [(name, cells) for name, cells, always in found if always or set(cells) != {BLANK}]
    rows = [[run["name"], *(cells[at] for _, cells in kept)] for at, run in enumerate(runs)]
    return Table(title, ["run", *(name for name, _ in kept)], rows)


def _accuracy(run: dict[str, Any]) -> str:
    low, high = run["accuracy_ci95"]
    return f"{run['accuracy']:.2%} ({low:.2%} to {high:.2%})"


def _number(value: float | None, form: str) -> str:
    return BLANK if value is None else form.format(value)


def _count(value: int | None) -> str:
    if value is None:
        return BLANK
    return f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value:,}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return BLANK
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")

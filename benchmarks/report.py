"""What a benchmark found: its rows and on what they were measured, as JSON and as Markdown."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.row import COMBINED, Row, Spread


@dataclass
class Report:
    """The outcome of a benchmark.

    Attributes:
        date: of the start, in ISO 8601.
        commit: of the code.
        clean: whether the working tree was exactly that commit.
        command: that was run.
        settings: the options in force.
        machine: what it ran on.
        versions: of Python and the libraries.
        seconds: that it took.
        rows: of the figures that were measured.
        failures: for each figure that could not be measured, why.
    """

    date: str
    commit: str
    clean: bool
    command: str
    settings: dict[str, Any]
    machine: Machine
    versions: dict[str, str]
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Return the exit status: 1 where a figure could not be measured or its sides do not agree, otherwise 0."""
        return int(bool(self.failures) or not all(row.agrees for row in self.rows))

    def to_json(self) -> str:
        """Return everything as JSON."""
        values = {**self.__dict__, "machine": asdict(self.machine), "rows": [row.to_dict() for row in self.rows]}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Return the report that `to_json` wrote."""
        values = json.loads(text)
        rows = [Row.from_dict(row) for row in values.pop("rows")]
        return cls(**{**values, "machine": Machine(**values["machine"]), "rows": rows})

    def to_markdown(self) -> str:
        """Return the table, with what it was measured on before it and what was compared after it."""
        return (
            "\n\n".join(part for part in (self._heading(), self._table(), self._details(), self._failed()) if part)
            + "\n"
        )

    def save(self, output: Path) -> list[Path]:
        """Write `NAME.json` and `NAME.md`, and return their paths.

        Args:
            output: one of the two files, or a folder, in which they are named after the device: cpu or gpu.
        """
        if output.suffix in (".json", ".md"):
            stem = output.with_suffix("")
        else:
            stem = output / ("gpu" if self.machine.gpu else "cpu")
        stem.parent.mkdir(parents=True, exist_ok=True)
        paths = [stem.with_name(f"{stem.name}{suffix}") for suffix in (".json", ".md")]
        for path, text in zip(paths, (self.to_json(), self.to_markdown()), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    def _heading(self) -> str:
        machine = self.machine
        device = f"{machine.gpu}; " if machine.gpu else ""
        tree = "" if self.clean else ", with changes that are not committed"
        libraries = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.settings.items())
        lines = [
            f"- {device}{machine.cpu}, {machine.cores} cores, {machine.threads} threads of PyTorch, "
            f"{machine.memory_gb:g} GiB, {machine.system}",
            f"- {libraries}",
            f"- commit {self.commit}{tree}; {self.date}; {self.seconds:,.0f} s",
            f"- {settings}",
            f"- `{self.command}`",
        ]
        title = "# Benchmark" + (
            " (--quick: shows that everything runs, and nothing more)" if self.settings["quick"] else ""
        )
        return f"{title}\n\n" + "\n".join(lines)

    def _table(self) -> str:
        if not self.rows:
            return ""
        head = (
            "| figure | measured | goal | met | ours: min / median / max | baseline: min / median / max | rounds |\n"
            "|---|---|---|---|---|---|---|"
        )
        return "\n".join([head, *map(_line, self.rows)])

    def _details(self) -> str:
        if not self.rows:
            return ""
        parts = ["## What was compared"]
        for row in self.rows:
            verdict = "" if row.agrees else "**Not the same**: "
            means = f"- **{row.name}** ({COMBINED[row.kind][0]}). Baseline: {row.baseline}."
            parts.append(f"{means} {verdict}{_sentence(row.compared)} `{row.command}`")
        return parts[0] + "\n\n" + "\n".join(parts[1:])

    def _failed(self) -> str:
        if not self.failures:
            return ""
        return "## Not measured\n\n" + "\n".join(f"- {name}: {reason}" for name, reason in self.failures.items())


def _line(row: Row) -> str:
    unit = row.number_unit
    measured = f"{significant(row.number)}{'' if unit == 'x' else ' '}{unit}"
    goal = "" if row.goal is None else str(row.goal)
    met = {None: "", True: "yes", False: "**no**"}[row.met]
    cells = [
        row.name,
        measured,
        goal,
        met,
        _spread(row.ours, row.unit),
        _spread(row.theirs, row.unit),
        str(len(row.ours)),
    ]
    return "| " + " | ".join(cells) + " |"


def _spread(samples: list[float], unit: str) -> str:
    if not samples:
        return ""
    spread = Spread.of(samples)
    values = (spread.lowest, spread.median, spread.highest)
    return " / ".join(map(significant, values)) + f" {unit}"


def significant(value: float) -> str:
    """Return a number with three significant digits, or all digits before the point."""
    if value != value or value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 0
    while abs(value) * 10**digits < 100:
        digits += 1
    return f"{value:.{min(digits, 6)}f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."

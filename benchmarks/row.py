"""One row of the table: a figure, what was measured of both sides, and what was asked for."""

import operator
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# How two medians become one number.
Kind = Literal["faster", "share", "difference", "value"]
COMBINED: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "faster": ("baseline / ours", lambda ours, theirs: theirs / ours),
    "share": ("ours / baseline", lambda ours, theirs: ours / theirs),
    "difference": ("ours - baseline", lambda ours, theirs: ours - theirs),
    "value": ("ours alone", lambda ours, theirs: ours),
}
COMPARED: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Goal:
    """What a figure should reach.

    Attributes:
        sign: >=, <= or <.
        value: in the unit of the row's number.
    """

    sign: Literal[">=", "<=", "<"]
    value: float

    def holds(self, value: float) -> bool:
        """Return whether a number reaches it."""
        return COMPARED[self.sign](value, self.value)

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True)
class Spread:
    """Some samples of one quantity in short."""

    lowest: float
    median: float
    highest: float

    @classmethod
    def of(cls, samples: list[float]) -> "Spread":
        """Return that of one sample or more."""
        return cls(min(samples), statistics.median(samples), max(samples))


@dataclass(frozen=True)
class Row:
    """One figure, measured.

    Attributes:
        figure: its name for `--only`.
        name: what is measured, with numbers of images and sizes.
        baseline: what it is compared with.
        kind: how the medians become `number`.
        unit: of the samples.
        ours, theirs: one sample for each round; `theirs` may be empty where `kind` is value.
        goal: None where nothing was asked for.
        agrees: whether both sides compute the same.
        compared: what was compared to say so, and how far both are apart.
        command: that measures this figure again.
    """

    figure: str
    name: str
    baseline: str
    kind: Kind
    unit: str
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    goal: Goal | None = None
    agrees: bool = True
    compared: str = ""
    command: str = ""

    @property
    def number(self) -> float:
        """Return the ratio or difference of the medians, or the median of ours."""
        theirs = statistics.median(self.theirs) if self.theirs else float("nan")
        return COMBINED[self.kind][1](statistics.median(self.ours), theirs)

    @property
    def number_unit(self) -> str:
        """Return the unit of `number`; a ratio has `x`."""
        return self.unit if self.kind in ("difference", "value") else "x"

    @property
    def met(self) -> bool | None:
        """Return whether the goal is reached, by a result that is the baseline's; None without a goal."""
        return None if self.goal is None else self.agrees and self.goal.holds(self.number)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, what follows from the samples included."""
        derived = {"number": self.number, "means": COMBINED[self.kind][0], "met": self.met, "rounds": len(self.ours)}
        spreads = {
            f"{side}_spread": asdict(Spread.of(samples))
            for side, samples in (("ours", self.ours), ("theirs", self.theirs))
            if samples
        }
        return {**asdict(self), **derived, **spreads}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Row":
        """Return the row that `to_dict` made these values of."""
        known = {name: values[name] for name in cls.__dataclass_fields__}
        goal = known["goal"]
        return cls(**{**known, "goal": Goal(**goal) if goal is not None else None})

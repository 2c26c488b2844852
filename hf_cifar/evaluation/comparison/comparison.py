"""A comparison of finished runs, as `compare.json` holds it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from hf_cifar.evaluation.comparison import wording
from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.evaluation.comparison.mcnemar import holm, mcnemar
from hf_cifar.evaluation.comparison.rows import Measurement, ModelCost, PairRow, RunRow


@dataclass(frozen=True)
class ComparedData:
    """Images that all runs were evaluated on.

    Attributes:
        id: of the dataset.
        split: its name.
        num_test: images.
    """

    id: str
    split: str
    num_test: int


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        dataset: the images.
        runs: in the order that they were given in.
        pairs: every two of them.
        measurement: how costs were measured.
        notes: what must be known to read the tables, a sentence or two each.
    """

    dataset: ComparedData
    runs: list[RunRow]
    pairs: list[PairRow]
    measurement: Measurement
    notes: list[str]

    @property
    def best(self) -> RunRow:
        """Return the run with the highest accuracy, of equal ones the first."""
        return max(self.runs, key=lambda run: run.accuracy)

    @property
    def has_costs(self) -> bool:
        """Return whether the cost of any model was measured."""
        return any(run.cost is not None for run in self.runs)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `compare.json`."""
        return {
            "stage": "compare",
            "dataset": asdict(self.dataset),
            "best": self.best.name,
            "runs": [run.to_dict() for run in self.runs],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "measurement": asdict(self.measurement),
            "notes": self.notes,
        }


def build_comparison(
    runs: Sequence[ComparedRun], costs: Sequence[ModelCost | None], measurement: Measurement
) -> Comparison:
    """Build the comparison of runs on the same images.

    Args:
        runs: at least two.
        costs: one a run; None where its model cannot be loaded.
        measurement: how the costs were measured.
    """
    rows = [RunRow.of(run, cost) for run, cost in zip(runs, costs, strict=True)]
    data = ComparedData(runs[0].metrics.dataset.id, runs[0].metrics.split, len(runs[0].index))
    robustness = {run.name: run.metrics.robustness for run in runs if run.metrics.robustness is not None}
    return Comparison(data, rows, _pairs(runs), measurement, wording.notes(rows, measurement, robustness))


def _pairs(runs: Sequence[ComparedRun]) -> list[PairRow]:
    pairs = list(combinations(runs, 2))
    tests = [mcnemar(first.correct, second.correct) for first, second in pairs]
    adjusted = holm([test.p_value for test in tests])
    return [
        PairRow(first.name, second.name, test, p_value)
        for (first, second), test, p_value in zip(pairs, tests, adjusted, strict=True)
    ]

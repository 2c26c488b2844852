"""A comparison of finished runs, as `compare.json` holds it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hf_cifar.evaluation.comparison import wording
from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.evaluation.comparison.pairs import image_pairs, seed_pairs
from hf_cifar.evaluation.comparison.rows import Measurement, ModelCost, PairRow, RunRow, SeedPairRow
from hf_cifar.evaluation.comparison.settings import settings_table, without_settings
from hf_cifar.utils.table import Table


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
        seed_pairs: every two of those over several seeds.
        settings: those in which the runs differ.
        measurement: how costs were measured.
        notes: what must be known to read the tables, a sentence or two each.
    """

    dataset: ComparedData
    runs: list[RunRow]
    pairs: list[PairRow]
    seed_pairs: list[SeedPairRow]
    settings: Table
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
            "verdict": wording.verdict(self),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "seed_pairs": [pair.to_dict() for pair in self.seed_pairs],
            "settings": {
                name: dict(zip(self.settings.columns[1:], values, strict=True)) for name, *values in self.settings.rows
            },
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
    lines = wording.notes(rows, measurement, robustness)
    unknown = without_settings(runs)
    return Comparison(
        dataset=data,
        runs=rows,
        pairs=image_pairs(runs),
        seed_pairs=seed_pairs(rows),
        settings=settings_table(runs),
        measurement=measurement,
        notes=[*lines, *([unknown] if unknown else [])],
    )

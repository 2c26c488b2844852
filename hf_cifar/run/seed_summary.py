"""What one stage came to over several seeds, as `metrics.json` and `seeds.json` hold it."""

from dataclasses import asdict, dataclass
from typing import Any

# Of the test split; fractions, but for the NLL in nats.
MEASURES = ("accuracy", "balanced_accuracy", "f1_macro", "nll", "ece")


@dataclass(frozen=True)
class SeedRow:
    """What one seed came to.

    Attributes:
        seed: the seed.
        validation: the selection metric on the validation split.
        test: measure -> value on the test split, of `MEASURES`.
    """

    seed: int
    validation: float
    test: dict[str, float]


@dataclass(frozen=True)
class Spread:
    """A measure over seeds.

    Attributes:
        mean: of the seeds.
        std: sample standard deviation, with n - 1.
        ci95: Student's t interval of the mean; bounds outside of what the measure can be are cut.
    """

    mean: float
    std: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Soup:
    """Averaged weights.

    Attributes:
        seeds: whose weights are in the average, in the order in which they were added.
        validation: the selection metric of the average on the validation split.
    """

    seeds: list[int]
    validation: float


@dataclass(frozen=True)
class SeedSummary:
    """What one stage came to over several seeds.

    Attributes:
        metric: of `--selection-metric`, by which the seed was chosen.
        rows: one a seed, in the order given.
        spread: measure -> mean, standard deviation and interval.
        kept: the seed whose model is the run's; of a soup, the best of its seeds.
        soup: averaged weights, where they were asked for.
    """

    metric: str
    rows: list[SeedRow]
    spread: dict[str, Spread]
    kept: int
    soup: Soup | None = None

    @property
    def seeds(self) -> list[int]:
        """Return the seeds."""
        return [row.seed for row in self.rows]

    @property
    def keeps_soup(self) -> bool:
        """Return whether the run's model is an average of several seeds."""
        return self.soup is not None and len(self.soup.seeds) > 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        spread = {name: {**asdict(item), "ci95": list(item.ci95)} for name, item in self.spread.items()}
        return {**asdict(self), "spread": spread}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SeedSummary":
        """Build it from what `to_dict` returned."""
        spread = {
            name: Spread(item["mean"], item["std"], (item["ci95"][0], item["ci95"][1]))
            for name, item in values["spread"].items()
        }
        rows = [SeedRow(**row) for row in values["rows"]]
        soup = Soup(**values["soup"]) if values.get("soup") else None
        return cls(values["metric"], rows, spread, values["kept"], soup)

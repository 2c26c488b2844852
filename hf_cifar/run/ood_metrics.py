"""How well a score tells images unlike those of training apart: the part `ood` of `metrics.json`."""

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class OodComparison:
    """Out-of-distribution images against those of the measured split; fractions.

    Attributes:
        name: of a corruption, or of a dataset.
        is_corruption: whether they are the measured images, corrupted, and not other ones.
        num_examples: of them.
        auroc: the probability that one of them has a higher score than one of the split; 0.5 for a guess.
        fpr95: the fraction of them that is taken for one of the split where 95 % of the split is.
    """

    name: str
    is_corruption: bool
    num_examples: int
    auroc: float
    fpr95: float

    @property
    def title(self) -> str:
        """Return the name in words."""
        return self.name.replace("_", " ") if self.is_corruption else self.name

    @property
    def shown_auroc(self) -> str:
        """Return the AUROC with three decimals, rounded down."""
        return f"{math.floor(self.auroc * 1000 + 1e-9) / 1000:.3f}"


@dataclass(frozen=True)
class OodMetrics:
    """What one out-of-distribution score comes to.

    Attributes:
        score: energy or knn.
        num_examples: images of the measured split, which count as in-distribution.
        severity: of the corruptions.
        seed: of what the corruptions draw.
        threshold: stored beside the model; None where there is none.
        kept: the fraction of the measured split that is at or below the threshold.
        compared: with what the split was compared.
        num_features: of knn, training images whose features are kept.
    """

    score: str
    num_examples: int
    severity: int
    seed: int
    threshold: float | None
    kept: float | None
    compared: list[OodComparison]
    num_features: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OodMetrics":
        """Build it from what `to_dict` returned."""
        return cls(**{**values, "compared": [OodComparison(**item) for item in values["compared"]]})

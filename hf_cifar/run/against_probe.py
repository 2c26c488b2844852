"""What fine-tuning changed against the probe that it started from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AgainstProbe:
    """A fine-tuned model beside its probe, on the same test images; fractions.

    Attributes:
        probe_accuracy: of the probe.
        difference: accuracy of the fine-tuned model minus that of its probe.
        difference_ci95: its paired interval (Agresti and Min, 2005).
    """

    probe_accuracy: float
    difference: float
    difference_ci95: tuple[float, float]

    @property
    def is_below(self) -> bool:
        """Return whether fine-tuning lost accuracy: the whole interval is below 0, so that noise is not called so."""
        return self.difference_ci95[1] < 0

    @property
    def is_above(self) -> bool:
        """Return whether fine-tuning gained accuracy, as surely."""
        return self.difference_ci95[0] > 0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AgainstProbe":
        """Build it from plain values."""
        low, high = values["difference_ci95"]
        return cls(**{**values, "difference_ci95": (low, high)})

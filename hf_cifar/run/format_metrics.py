"""What the forms of a model come to beside the native one: a part of `metrics.json`."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Latency:
    """Time for an image, over rounds in which the forms take turns.

    Attributes:
        batch: images in one forward pass.
        milliseconds: for one image, the median of the rounds.
        low, high: the fastest and the slowest round.
    """

    batch: int
    milliseconds: float
    low: float
    high: float


@dataclass(frozen=True)
class FormMetrics:
    """One form of a model, measured on the images that the native one was measured on. Fractions.

    Attributes:
        name: as `--formats` names it.
        method: how it was made, in words.
        file: in the exported folder.
        bytes: of all its files.
        accuracy: of its answers.
        ece: of the softmax of its logits.
        largest_logit_difference, largest_score_difference: from the native model, over all images and labels.
        changed_answers: images that it answers otherwise.
        p_value: of McNemar's exact test against the native model.
        latency: for each number of images in a batch.
        operators: what is quantised in it: kind -> how many.
        fault: why it is not in the exported folder; None where it is.
    """

    name: str
    method: str
    file: str
    bytes: int
    accuracy: float
    ece: float
    largest_logit_difference: float
    largest_score_difference: float
    changed_answers: int
    p_value: float
    latency: list[Latency]
    operators: dict[str, int] = field(default_factory=dict)
    fault: str | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FormMetrics":
        """Build it from plain values."""
        return cls(**{**values, "latency": [Latency(**item) for item in values["latency"]]})


@dataclass(frozen=True)
class FormatMetrics:
    """Every form that was asked for.

    Attributes:
        dataset, split: what was measured on.
        num_examples: images.
        cpu: name of the processor.
        threads: that each form computed with.
        rounds: of the times.
        forms: the native one first; where one was made in several ways, each of them.
        refused: of those asked for, the ones that are not exported: name -> why.
    """

    dataset: str
    split: str
    num_examples: int
    cpu: str | None
    threads: int
    rounds: int
    forms: list[FormMetrics]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def native(self) -> FormMetrics:
        """Return the native model."""
        return self.forms[0]

    @property
    def exported(self) -> list[FormMetrics]:
        """Return the forms that are in the exported folder, beside the native one."""
        return [form for form in self.forms[1:] if form.fault is None]

    @property
    def not_made(self) -> list[str]:
        """Return the forms that could not be made or run, and so were not measured: another time they may be."""
        return sorted(set(self.refused) - {form.name for form in self.forms})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FormatMetrics":
        """Build it from what `to_dict` returned."""
        return cls(**{**values, "forms": [FormMetrics.from_dict(form) for form in values["forms"]]})

"""The metrics of one split, as `metrics.json` holds them."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

IMBALANCED = 1.5  # times the images of the smallest class, from which balanced accuracy is shown too


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class; fractions.

    Attributes:
        precision, recall, f1: 0 where they are not defined.
        num_examples: images with this label.
    """

    precision: float
    recall: float
    f1: float
    num_examples: int


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of confidence of a reliability diagram.

    Attributes:
        low, high: its bounds; open below and closed above.
        count: images in it.
        confidence, accuracy: their means; None in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one label that were classified as another.

    Attributes:
        label, prediction: names of the classes.
        count: images.
        share: of the label's images.
    """

    label: str
    prediction: str
    count: int
    share: float


@dataclass(frozen=True)
class SplitMetrics:
    """Everything that is measured on one split, from one pass of predictions. Fractions, and nats for the NLL.

    Attributes:
        num_examples: images.
        accuracy: with `accuracy_ci95`, its Wilson interval.
        f1_macro: mean F1 over the classes that occur among labels or predictions, scikit-learn's default.
        f1_macro_present: mean F1 over the classes that have images; differs where a class without images is predicted.
        top5_accuracy: top-n where there are fewer classes.
        temperature: of temperature scaling, fitted on validation; None where none was fitted.
        nll, ece, reliability: of the softmax; `_calibrated` at the temperature.
        per_class: class name -> its metrics, in the order of the logits.
        confusion_matrix: rows are labels, columns predictions; None with more than 1,000 classes.
        confused_pairs: the most frequent first.
        num_doubted: images whose label the model contradicts by confident learning; None in older files.
    """

    num_examples: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    f1_macro: float
    f1_macro_present: float
    top5_accuracy: float
    temperature: float | None
    nll: float
    ece: float
    nll_calibrated: float | None
    ece_calibrated: float | None
    reliability: list[ReliabilityBin]
    reliability_calibrated: list[ReliabilityBin] | None
    per_class: dict[str, ClassMetrics]
    confusion_matrix: list[list[int]] | None
    confused_pairs: list[ConfusedPair] = field(default_factory=list)
    num_doubted: int | None = None

    @property
    def label_names(self) -> list[str]:
        """Return the class names in the order of the logits."""
        return list(self.per_class)

    @property
    def balanced_accuracy(self) -> float:
        """Return the mean recall of the classes that have images; the accuracy of no images is 0."""
        recalls = [item.recall for item in self.per_class.values() if item.num_examples]
        return math.fsum(recalls) / len(recalls) if recalls else 0.0

    @property
    def is_imbalanced(self) -> bool:
        """Return whether a class has far more images than another: balanced accuracy then says something else."""
        counts = [item.num_examples for item in self.per_class.values() if item.num_examples]
        return bool(counts) and max(counts) > IMBALANCED * min(counts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        computed = {"accuracy_ci95": list(self.accuracy_ci95), "balanced_accuracy": self.balanced_accuracy}
        return {**asdict(self), **computed}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SplitMetrics":
        """Build it from what `to_dict` returned."""
        values = {name: value for name, value in values.items() if name != "balanced_accuracy"}
        low, high = values["accuracy_ci95"]
        calibrated = values.get("reliability_calibrated")
        return cls(
            **{
                **values,
                "accuracy_ci95": (low, high),
                "reliability": [ReliabilityBin(**row) for row in values["reliability"]],
                "reliability_calibrated": None if calibrated is None else [ReliabilityBin(**row) for row in calibrated],
                "per_class": {name: ClassMetrics(**row) for name, row in values["per_class"].items()},
                "confused_pairs": [ConfusedPair(**row) for row in values["confused_pairs"]],
            }
        )

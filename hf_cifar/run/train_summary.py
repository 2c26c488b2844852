"""How a stage trained its model, as `metrics.json` holds it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from hf_cifar.run.origins import StartOrigin

T = TypeVar("T", bound="TrainSummary")


@dataclass(frozen=True)
class Chosen:
    """What was chosen on validation.

    Attributes:
        epoch, step: of the kept checkpoint; epoch 0 is the start itself.
        learning_rate: of the kept head of a grid.
        strength: the kept L2 strength of a logistic regression.
        interpolation: how far the kept weights are from the start (0) to the fine-tuned ones (1).
        metric, value: the validation metric that the epoch was chosen by.
        candidates, close: of a probe, the heads that were chosen from, and those at most one validation image less
            accurate than the most accurate, which is one of them.
    """

    epoch: float | None = None
    step: int | None = None
    learning_rate: float | None = None
    strength: float | None = None
    interpolation: float | None = None
    metric: str | None = None
    value: float | None = None
    candidates: int | None = None
    close: int | None = None

    @property
    def is_start(self) -> bool:
        """Return whether the start was kept, because no epoch was as good on validation."""
        return self.epoch == 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without what was not chosen; the metric's value is under its own name."""
        plain = {name: value for name, value in asdict(self).items() if value is not None}
        metric, value = plain.pop("metric", None), plain.pop("value", None)
        return plain if metric is None else {**plain, f"validation_{metric}": value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Chosen":
        """Build it from what `to_dict` returned."""
        own = {item.name for item in fields(cls)}
        named = {name: value for name, value in values.items() if name in own}
        metric = next((name for name in values if name.startswith("validation_")), None)
        if metric is not None:
            named |= {"metric": metric.removeprefix("validation_"), "value": values[metric]}
        return cls(**named)


@dataclass(frozen=True)
class Augmentation:
    """How training images were augmented; `none` and zeros where they were not.

    Attributes:
        augment: the policy of `--augment`.
        random_erasing: a probability.
        mixup, cutmix: their alphas.
    """

    augment: str = "none"
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0


@dataclass(frozen=True)
class Balancing:
    """What was done about classes of unequal size; `none`, zero and False where nothing was.

    Attributes:
        class_weights: none, balanced or effective.
        effective_beta: of effective weights.
        logit_adjustment: tau.
        balanced_sampling: whether every class was shown equally often.
    """

    class_weights: str = "none"
    effective_beta: float | None = None
    logit_adjustment: float = 0.0
    balanced_sampling: bool = False

    @property
    def is_on(self) -> bool:
        """Return whether anything was done."""
        return self != Balancing()


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What every training stage records.

    Attributes:
        augmentation: of the training images.
        chosen: on validation.
        epochs: passes over the training images; None for a solver that makes none.
        seconds: of the whole stage, predictions included.
        images_per_second: training images, while training.
        trainable_parameters, total_parameters: counts.
        processes: that shared the stage.
        peak_memory_mb: of the GPU where one was used, otherwise of this process.
        input_wait_fraction: part of the training steps' time that was spent waiting for images, from 0 to 1; None
            where no image was read in training.
        balancing: what was done about classes of unequal size.
    """

    augmentation: Augmentation
    chosen: Chosen
    epochs: float | None
    seconds: float
    images_per_second: float
    trainable_parameters: int
    total_parameters: int
    processes: int
    peak_memory_mb: float
    input_wait_fraction: float | None = None
    balancing: Balancing = Balancing()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "chosen": self.chosen.to_dict()}

    @classmethod
    def from_dict(cls: type[T], values: dict[str, Any]) -> T:
        """Build it from what `to_dict` returned."""
        named: dict[str, Any] = {
            "augmentation": Augmentation(**values["augmentation"]),
            "chosen": Chosen.from_dict(values["chosen"]),
        }
        if "balancing" in values:  # an older version had nothing to record
            named["balancing"] = Balancing(**values["balancing"])
        return cls(**{**values, **named})


@dataclass(frozen=True, kw_only=True)
class ProbeSummary(TrainSummary):
    """What a probe records.

    Attributes:
        solver: trainer or lbfgs.
        features: cached or online.
        feature_seconds, head_seconds: spent on cached features, and on the head.
        images_through_backbone: for each split, images that the cache lacked.
    """

    solver: str
    features: str
    feature_seconds: float
    head_seconds: float
    images_through_backbone: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class FinetuneSummary(TrainSummary):
    """What a fine-tuning records.

    Attributes:
        start: what it started from.
        unfreeze, bn, optimizer, scheduler: the options in force.
        learning_rate: at the top of the schedule.
        training_seconds: of training and choosing.
        checkpoint_wait_seconds: that training stood still for checkpoints; None in what an older version recorded.
    """

    start: StartOrigin
    unfreeze: str
    bn: str
    optimizer: str
    learning_rate: float
    scheduler: str
    training_seconds: float
    checkpoint_wait_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**super().to_dict(), "start": self.start.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FinetuneSummary":
        """Build it from what `to_dict` returned."""
        return super().from_dict({**values, "start": StartOrigin.from_dict(values["start"])})

"""Where weights, splits and the start of a stage come from, as data; `wording.py` puts them into words."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class WeightsKind(str, Enum):
    """Sources of pretrained weights."""

    TORCHVISION = "torchvision"
    HUB = "hub"
    BUNDLED = "bundled"
    FOLDER = "folder"
    FILE = "file"
    RANDOM = "random"


@dataclass(frozen=True)
class WeightsOrigin:
    """Where the weights of a network come from.

    Attributes:
        kind: the kind of source.
        architecture: torchvision's name of the network, the Hub id or the folder that says how it is built.
        name: torchvision's name of the weights, USER/NAME, or the name of a file or folder; None for random ones.
        revision: branch, tag or commit on the Hub, where one was asked for.
    """

    kind: WeightsKind
    architecture: str
    name: str | None = None
    revision: str | None = None

    @property
    def is_random(self) -> bool:
        """Return whether nothing was pretrained."""
        return self.kind is WeightsKind.RANDOM

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "WeightsOrigin":
        """Build it from what `to_dict` returned."""
        return cls(**{**values, "kind": WeightsKind(values["kind"])})


class StartKind(str, Enum):
    """What fine-tuning can start from."""

    PROBE = "probe"  # this run's probe
    CHECKPOINT = "checkpoint"  # what --from names
    PRETRAINED = "pretrained"  # what --model and --weights name


@dataclass(frozen=True)
class StartOrigin:
    """What fine-tuning started from.

    Attributes:
        kind: this run's probe, a checkpoint, or the pretrained model.
        name: of the checkpoint as it was given; None for the others.
        new_head: whether the head was replaced by a new one.
    """

    kind: StartKind
    name: str | None = None
    new_head: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StartOrigin":
        """Build it from what `to_dict` returned."""
        return cls(**{**values, "kind": StartKind(values["kind"])})


class SplitKind(str, Enum):
    """How the images of a split were chosen."""

    PUBLISHED = "published"  # a split of the source, whole
    HELD_OUT = "held_out"  # a stratified part of the source's train split
    REST = "rest"  # what is left of the source's train split
    WHOLE = "whole"  # every image of the source
    UNSEEN = "unseen"  # every image of the source that the model was not trained on


@dataclass(frozen=True)
class SplitOrigin:
    """Where the images of a split come from.

    Attributes:
        kind: how they were chosen.
        source: the split of the source that they are rows of; "all" for the whole source.
        fraction: the part of the source's split that was held out.
        seed: of the choice of what was held out.
        limit: the number of images that a larger split was cut to, stratified.
        limit_seed: of that choice.
        substitute: whether a published validation split stands in for a missing test split.
    """

    kind: SplitKind
    source: str
    fraction: float | None = None
    seed: int | None = None
    limit: int | None = None
    limit_seed: int | None = None
    substitute: bool = False

    @property
    def is_whole_published_split(self) -> bool:
        """Return whether a published figure for this split of the dataset is comparable."""
        return self.kind is SplitKind.PUBLISHED and self.limit is None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SplitOrigin":
        """Build it from what `to_dict` returned."""
        return cls(**{**values, "kind": SplitKind(values["kind"])})

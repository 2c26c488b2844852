"""What an audit has found, as `audit.json` holds it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError
from hf_cifar.run.stage_metrics import Hardware
from hf_cifar.run.verdicts import describe_weak_doubts, doubts_too_many
from hf_cifar.utils.files import write_json

AUDIT_FILE = "audit.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ImageSize:
    """A size that images have: width and height in pixels, and how many have it."""

    width: int
    height: int
    count: int


@dataclass(frozen=True)
class SplitFacts:
    """What a split of a dataset holds, as it is published.

    Attributes:
        fingerprint: of its content.
        num_rows: images of the whole split.
        num_images: those that were examined and can be read.
        num_unreadable: those that cannot.
        per_class: class name -> readable images.
        sizes: the most frequent ones.
        num_sizes: how many there are.
        modes: of the files, such as RGB or L -> images.
        num_copies: images with the same pixels as an earlier one of the split.
        num_near: further images with a near-duplicate in the split.
        num_doubtful: images whose label is in doubt; none where the doubt falls on the probes.
    """

    fingerprint: str
    num_rows: int
    num_images: int
    num_unreadable: int
    per_class: dict[str, int]
    sizes: list[ImageSize]
    num_sizes: int
    modes: dict[str, int]
    num_copies: int
    num_near: int
    num_doubtful: int


@dataclass(frozen=True)
class Crossing:
    """Twins that two splits share.

    Attributes:
        split, other: names.
        num_exact: images of `split` with the same pixels as one of `other`.
        num_near: further images of `split` with a near-duplicate in `other`.
    """

    split: str
    other: str
    num_exact: int
    num_near: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Everything that an audit counted.

    Attributes:
        dataset, kind, revision: of the data.
        model: whose features near-duplicates and doubts rest on, in words.
        seed: of subsets and folds.
        splits: name -> what it holds.
        crossings: for each two splits.
        num_groups: groups of images with the same pixels.
        num_contradictions: those with several labels.
        near_cosine, near_hash: the thresholds of near-duplicates.
        num_pairs: pairs of near-duplicates among different pictures.
        num_pair_contradictions: those with two labels.
        complete: whether every pair is listed.
        folds: of the probes that doubt labels.
        probe_accuracy: of those probes, each on the images that it did not see; the lower, the less their doubts say.
        num_doubted: labels that those probes contradict, in all splits; None in older files.
        seconds: for each part.
        hardware: what it ran on.
        versions: library -> version.
    """

    dataset: str
    kind: str
    revision: str | None
    model: str
    seed: int
    splits: dict[str, SplitFacts]
    crossings: list[Crossing]
    num_groups: int
    num_contradictions: int
    near_cosine: float
    near_hash: int
    num_pairs: int
    num_pair_contradictions: int
    complete: bool
    folds: int
    probe_accuracy: float
    num_doubted: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    hardware: Hardware | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def weak_doubts(self) -> str | None:
        """Return why no label is called doubtful, where the probes contradict too many to be believed; or None."""
        total = sum(facts.num_images for facts in self.splits.values())
        if self.num_doubted is None or not doubts_too_many(self.num_doubted, total):
            return None
        return describe_weak_doubts(self.num_doubted, total, "the probe")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Audit":
        """Build it from what `to_dict` returned."""
        values = {name: value for name, value in values.items() if name != "schema_version"}
        splits = {
            name: SplitFacts(**{**facts, "sizes": [ImageSize(**size) for size in facts["sizes"]]})
            for name, facts in values["splits"].items()
        }
        crossings = [Crossing(**crossing) for crossing in values["crossings"]]
        hardware = Hardware(**values["hardware"]) if values.get("hardware") else None
        return cls(**{**values, "splits": splits, "crossings": crossings, "hardware": hardware})

    @classmethod
    def read(cls, path: Path) -> "Audit":
        """Read an `audit.json`.

        Raises:
            InputError: it cannot be read, or is no such file.
        """
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is damaged, or no audit ({error})") from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_json(path, self.to_dict())

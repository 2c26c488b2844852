"""What an audit found, image by image, and the tables that list it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.audit.audit import Crossing, ImageSize, SplitFacts
from hf_cifar.audit.examined import Examined, Unreadable
from hf_cifar.audit.twin_list import EXACT_FILE, NEAR_FILE, Key, TwinList
from hf_cifar.data.images import LabeledImages
from hf_cifar.utils.files import write_csv

DOUBTS_FILE, UNREADABLE_FILE = "doubtful_labels.csv", "unreadable.csv"
MAX_SIZES = 20
CROSSED = (("test", "train"), ("validation", "train"), ("test", "validation"))


@dataclass(frozen=True)
class Catalogue:
    """The readable images of all splits, one after another: positions count through them.

    Attributes:
        examined: the splits, by name.
        label_names: one for each class.
    """

    examined: dict[str, Examined]
    label_names: Sequence[str]

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def splits(self) -> np.ndarray:
        """Return for each position the number of its split, int64 [n]."""
        return np.repeat(np.arange(len(self.examined)), [len(part.images) for part in self.examined.values()])

    @cached_property
    def labels(self) -> np.ndarray:
        """Return the labels, int64 [n]."""
        return np.concatenate([part.images.targets for part in self.examined.values()])

    @cached_property
    def pixels(self) -> np.ndarray:
        """Return the hashes of the pixels, uint64 [n]."""
        return np.concatenate([part.pixels for part in self.examined.values()])

    @cached_property
    def looks(self) -> np.ndarray:
        """Return the perceptual hashes, uint8 [n, 16]."""
        return np.concatenate([part.looks for part in self.examined.values()])

    def split(self, position: int) -> str:
        """Return the split of an image."""
        return self._names[int(self.splits[position])]

    def row(self, position: int) -> int:
        """Return the row of an image in its split."""
        return int(self._rows[position])

    def label(self, position: int) -> str:
        """Return the name of an image's class."""
        return self.label_names[int(self.labels[position])]

    def images_of(self, position: int) -> LabeledImages:
        """Return the split of an image, for reading it."""
        return self.examined[self.split(position)].images

    def key(self, position: int) -> Key:
        """Return split and row of an image."""
        return self.split(position), self.row(position)

    def described(self, position: int, prefix: str = "") -> dict[str, Any]:
        """Return the cells that say which image it is."""
        cells = [self.split(position), self.row(position), self.label(position), self._files[position]]
        return {prefix + name: cell for name, cell in zip(("split", "row", "label", "file"), cells, strict=True)}

    @cached_property
    def _names(self) -> list[str]:
        return list(self.examined)

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.concatenate([part.images.index for part in self.examined.values()])

    @cached_property
    def _files(self) -> list[str]:
        return [file for part in self.examined.values() for file in part.files]


@dataclass(frozen=True)
class Group:
    """Images with the same pixels; positions, ascending."""

    members: list[int]


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates: positions, cosine of their features, bits in which their hashes differ."""

    first: int
    second: int
    cosine: float
    bits: int


@dataclass(frozen=True)
class Doubt:
    """A label that may be wrong.

    Attributes:
        position: of the image.
        probability: of its label, by a probe that did not see it.
        suggested, suggested_probability: the class that the probe is sure of.
    """

    position: int
    probability: float
    suggested: str
    suggested_probability: float


@dataclass(frozen=True)
class Findings:
    """Everything found.

    Attributes:
        catalogue: the images.
        groups: of identical images, the largest first.
        pairs: of near-duplicates among different pictures, the most alike first.
        doubts: the most suspicious first.
    """

    catalogue: Catalogue
    groups: list[Group]
    pairs: list[Pair]
    doubts: list[Doubt]

    @property
    def unreadable(self) -> list[Unreadable]:
        """Return the images that cannot be read."""
        return [item for part in self.catalogue.examined.values() for item in part.unreadable]

    @cached_property
    def twins(self) -> TwinList:
        """Return the twins by split and row."""
        key = self.catalogue.key
        groups = [[key(member) for member in group.members] for group in self.groups]
        return TwinList(groups, [(key(pair.first), key(pair.second)) for pair in self.pairs])

    def contradictions(self) -> tuple[int, int]:
        """Return how many groups of identical images, and pairs of near-duplicates, have several labels."""
        labels = self.catalogue.labels
        groups = sum(len(set(labels[group.members].tolist())) > 1 for group in self.groups)
        return groups, sum(bool(labels[pair.first] != labels[pair.second]) for pair in self.pairs)

    def crossings(self) -> list[Crossing]:
        """Return the twins that splits share."""
        keys = {name: {(name, int(row)) for row in part.images.index} for name, part in self.catalogue.examined.items()}
        found = []
        for split, other in CROSSED:
            if split in keys and other in keys:
                leaks = self.twins.leaks(keys[split], keys[other])
                found.append(Crossing(split, other, len(leaks.exact), len(leaks.near)))
        return found

    def facts(self, name: str) -> SplitFacts:
        """Return what a split holds."""
        part, catalogue = self.catalogue.examined[name], self.catalogue
        sizes = Counter((int(width), int(height)) for width, height in part.sizes)
        classes = np.bincount(part.images.targets, minlength=len(catalogue.label_names))
        mine = [[member for member in group.members if catalogue.split(member) == name] for group in self.groups]
        near = {
            position
            for pair in self.pairs
            if catalogue.split(pair.first) == catalogue.split(pair.second) == name
            for position in (pair.first, pair.second)
        }
        return SplitFacts(
            fingerprint=part.images.fingerprint,
            num_rows=len(part.images.labels),
            num_images=len(part.images),
            num_unreadable=len(part.unreadable),
            per_class=dict(zip(catalogue.label_names, classes.tolist(), strict=True)),
            sizes=[ImageSize(*size, count) for size, count in sizes.most_common(MAX_SIZES)],
            num_sizes=len(sizes),
            modes=dict(Counter(part.modes).most_common()),
            num_copies=sum(max(0, len(members) - 1) for members in mine),
            num_near=len(near),
            num_doubtful=sum(catalogue.split(doubt.position) == name for doubt in self.doubts),
        )

    def write(self, folder: Path) -> None:
        """Write the tables."""
        described = self.catalogue.described
        image = ("split", "row", "label", "file")
        members = [(number, member) for number, group in enumerate(self.groups) for member in group.members]
        exact = [{"group": number, **described(member)} for number, member in members]
        write_csv(folder / EXACT_FILE, exact, ("group", *image))
        write_csv(
            folder / NEAR_FILE,
            [
                {
                    **described(pair.first),
                    **described(pair.second, "twin_"),
                    "cosine": round(pair.cosine, 4),
                    "differing_bits": pair.bits,
                }
                for pair in self.pairs
            ],
            (*image, *(f"twin_{name}" for name in image), "cosine", "differing_bits"),
        )
        write_csv(
            folder / DOUBTS_FILE,
            [
                {
                    **described(doubt.position),
                    "probability": round(doubt.probability, 4),
                    "suggested": doubt.suggested,
                    "suggested_probability": round(doubt.suggested_probability, 4),
                }
                for doubt in self.doubts
            ],
            (*image, "probability", "suggested", "suggested_probability"),
        )
        unreadable = [vars(item) for item in self.unreadable]
        write_csv(folder / UNREADABLE_FILE, unreadable, ("split", "row", "file", "reason"))

"""Twins by split and row: what an audit lists, and what is left out of a second accuracy."""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hf_cifar.errors import InputError

EXACT_FILE, NEAR_FILE = "exact_duplicates.csv", "near_duplicates.csv"
Key = tuple[str, int]  # split and row


@dataclass(frozen=True)
class Leaks:
    """Images that have a twin among others.

    Attributes:
        exact: with the same pixels.
        near: with a near-duplicate, and none with the same pixels.
    """

    exact: set[Key]
    near: set[Key]

    @property
    def rows(self) -> set[Key]:
        """Return both kinds."""
        return self.exact | self.near


@dataclass(frozen=True)
class TwinList:
    """All twins of a dataset.

    Attributes:
        groups: images with the same pixels, two or more each.
        pairs: near-duplicates; the first image of a group stands for all of it.
    """

    groups: Sequence[Sequence[Key]] = ()
    pairs: Sequence[tuple[Key, Key]] = field(default=())

    def leaks(self, measured: Collection[Key], seen: Collection[Key]) -> Leaks:
        """Return which of the measured images have a twin among those that were seen.

        Args:
            measured, seen: sets of images without a common one.
        """
        exact: set[Key] = set()
        for group in self.groups:
            if any(key in seen for key in group):
                exact.update(key for key in group if key in measured)
        near: set[Key] = set()
        for pair in self.pairs:
            for one, other in (pair, pair[::-1]):
                if any(key in seen for key in self._same(other)):
                    near.update(key for key in self._same(one) if key in measured)
        return Leaks(exact, near - exact)

    def _same(self, key: Key) -> Sequence[Key]:
        return self._group_of.get(key, (key,))

    @cached_property
    def _group_of(self) -> dict[Key, Sequence[Key]]:
        return {group[0]: group for group in self.groups}

    @classmethod
    def read(cls, folder: Path) -> "TwinList":
        """Read what an audit has written.

        Raises:
            InputError: a file is missing or damaged.
        """
        groups: dict[str, list[Key]] = {}
        for row in _rows(folder / EXACT_FILE, ("group", "split", "row")):
            groups.setdefault(row["group"], []).append((row["split"], int(row["row"])))
        pairs = [
            ((row["split"], int(row["row"])), (row["twin_split"], int(row["twin_row"])))
            for row in _rows(folder / NEAR_FILE, ("split", "row", "twin_split", "twin_row"))
        ]
        return cls(list(groups.values()), pairs)


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read {path} ({error}): run the audit again") from error
    whole = all(row.get(name) for row in rows for name in needed)
    if not whole or not all(row[name].isdigit() for row in rows for name in needed if name.endswith("row")):
        raise InputError(f"{path} is damaged: run the audit again")
    return rows

"""The classes of a dataset, and labels of any of its splits in their numbering."""

from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np

from hf_cifar.errors import InputError, hint
from hf_cifar.utils.progress import say

NAMES_SHOWN = 20
MISSING = -1  # what datasets without labels hold, such as published test splits of competitions


@dataclass(frozen=True)
class Classes:
    """The classes that a dataset's train split defines; a label is an index into them.

    Attributes:
        names: one for each class.
        values: what the column of `split` holds for each class: its number or its name.
        named: whether these are names, of a ClassLabel or as strings; else they are plain numbers.
        split: the split that defines the classes.
    """

    names: list[str]
    values: list[Any]
    named: bool
    split: str = "train"

    def encode(self, feature: Any, values: list[Any], split: str) -> np.ndarray:
        """Return a split's labels as indices into `names`, int64 [n].

        Each split is read by its own feature: a ClassLabel by its own names, whatever their order, and strings by
        name. Numbers without names keep their meaning in `split` as in the split that defines the classes.

        Args:
            feature: of the label column in this split.
            values: of that column, n.
            split: name of the split, for messages.

        Raises:
            InputError: a label that is none of the classes, with the nearest class.
        """
        known = self._index_of(feature, values, split)
        labels = np.array([known.get(value, -1) for value in values], dtype=np.int64)
        bad = np.flatnonzero(labels < 0)
        if len(bad):
            _refuse_missing(values, bad, split)
            raise InputError(self._out_of_range(feature, values, bad, split))
        return labels

    def _index_of(self, feature: Any, values: list[Any], split: str) -> dict[Any, int]:
        """Return the class of each value that a split's column may hold."""
        own = {value: index for index, value in enumerate(self.values)}
        by_name = {name: index for index, name in enumerate(self.names)}
        if split == self.split:
            return own
        if isinstance(feature, datasets.ClassLabel):
            named = {number: by_name[name] for number, name in enumerate(feature.names) if name in by_name}
            if self.named or any(value in named for value in values):
                return named
            if self.values != list(range(len(self.values))):
                return {}  # counted from 1, or with gaps: not the numbers of a ClassLabel
            self._warn_of_numbers(split)
            return own
        if is_text(feature):
            return by_name if self.named else {}
        if self.named:
            if any(isinstance(value, str) for value in self.values):
                return {}
            self._refuse_ambiguous(values, by_name, split)
            self._warn_of_numbers(split)
        return own

    def _warn_of_numbers(self, split: str) -> None:
        say(
            f"warning: only one of {self.split} and {split} has names for its labels: the numbers of {split} are read "
            f"in the order of {self.split} (0 is {self.names[0]!r})"
        )

    def _refuse_ambiguous(self, values: list[Any], by_name: dict[str, int], split: str) -> None:
        """Refuse plain numbers where the classes are named by other numbers, as "7" for label 0."""
        for value in dict.fromkeys(values):
            if by_name.get(str(value), value) != value:
                raise InputError(
                    f"label {value} of {split} may be the class named {str(value)!r} or class number {value} of "
                    f"{self.split}, which is {self.names[value] if value in self.values else 'none'}: give the label "
                    f"column of {split} the ClassLabel names of {self.split}"
                )

    def _out_of_range(self, feature: Any, values: list[Any], bad: np.ndarray, split: str) -> str:
        value = values[bad[0]]
        names = feature.names if isinstance(feature, datasets.ClassLabel) else []
        shown = names[value] if isinstance(value, int) and 0 <= value < len(names) else value
        near = hint(shown, self.names) if isinstance(shown, str) else ""
        more = ", …" if len(self.names) > NAMES_SHOWN else ""
        return (
            f"labels out of range: {len(bad)} of {len(values)} labels of {split} are not among the {len(self.names)} "
            f"classes of {self.split}, {', '.join(self.names[:NAMES_SHOWN])}{more} (first: row {bad[0]} has "
            f"{shown!r}); {near}rename or remove those rows, or choose another --label-column"
        )


def _refuse_missing(values: list[Any], bad: np.ndarray, split: str) -> None:
    """Refuse labels that are not there: nothing, or the number that stands for nothing where classes count from 0."""
    missing = [row for row in bad.tolist() if values[row] is None or values[row] == MISSING]
    if missing:
        raise InputError(
            f"missing labels: {len(missing):,} of {len(values):,} rows of {split} have no label (first: row "
            f"{missing[0]} has {values[missing[0]]}): remove those rows, or choose another --label-column"
        )


def is_text(feature: Any) -> bool:
    """Return whether a column holds strings."""
    return isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string")


def is_plain(feature: Any) -> bool:
    """Return whether a column holds strings, integers or booleans."""
    return isinstance(feature, datasets.Value) and (
        is_text(feature) or feature.dtype == "bool" or "int" in feature.dtype
    )

"""Which columns hold the images and the labels, and what the labels are called."""

from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np

from hf_cifar.errors import InputError, unknown_name

IMAGE_NAMES = ("image", "img", "pixel_values")
LABEL_NAMES = ("label", "labels", "target", "class", "category", "fine_label")


@dataclass(frozen=True)
class Labels:
    """The names of the classes, and how the values of a column map to them.

    Attributes:
        names: one a class; a label is an index into them.
        positions: the value in the column -> the label.
    """

    names: list[str]
    positions: dict[Any, int]

    def encode(self, values: list[Any], split: str) -> np.ndarray:
        """Column values to int64 labels.

        Raises:
            InputError: a value that is not among the classes.
        """
        encoded = np.array([self.positions.get(value, -1) for value in values], dtype=np.int64)
        bad = np.flatnonzero(encoded < 0)
        if len(bad):
            raise InputError(
                f"labels out of range: {len(bad)} of {len(values)} labels of {split} are not among the "
                f"{len(self.names)} classes of train (first: row {bad[0]} has {values[bad[0]]!r}); "
                "remove those rows, or choose another --label-column"
            )
        return encoded


def image_column(features: datasets.Features, asked: str | None) -> str:
    """The column of the images: the one asked for, or the one that the features show.

    Raises:
        InputError: no such column, none that holds images, or several.
    """
    if asked is not None:
        return _existing(asked, features, "--image-column")
    found = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    found = found or [name for name, kind in features.items() if _holds_encoded_images(kind)]
    return _only(found, IMAGE_NAMES, features, "images", "--image-column")


def label_column(features: datasets.Features, asked: str | None, image: str) -> str:
    """The column of the labels: the one asked for, or the one that the features show.

    Raises:
        InputError: no such column, none that can be labels, or several.
    """
    if asked is not None:
        return _existing(asked, features, "--label-column")
    found = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    if not found:
        plain = [name for name, kind in features.items() if name != image and _is_plain(kind)]
        found = [name for name in plain if name.lower() in LABEL_NAMES] or plain
    return _only(found, LABEL_NAMES, features, "labels", "--label-column")


def find_labels(feature: Any, values: list[Any], column: str) -> Labels:
    """The classes of a label column: its ClassLabel names, or the distinct values that train has, in order.

    Args:
        feature: the column's feature.
        values: its values in train.

    Raises:
        InputError: the column does not hold one class an image.
    """
    if isinstance(feature, datasets.ClassLabel):
        return Labels(list(feature.names), {number: number for number in range(feature.num_classes)})
    if not _is_plain(feature):
        raise InputError(f"column {column!r} holds {feature}, not one class an image; see --label-column")
    distinct = sorted({value for value in values if value is not None})
    return Labels([str(value) for value in distinct], {value: place for place, value in enumerate(distinct)})


def _is_plain(feature: Any) -> bool:
    return isinstance(feature, datasets.Value) and (
        feature.dtype in ("string", "large_string", "bool") or "int" in feature.dtype
    )


def _holds_encoded_images(feature: Any) -> bool:
    """What an image column looks like in Parquet files that other tools wrote: bytes, alone or with a path."""
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return isinstance(feature, datasets.Value) and "binary" in feature.dtype


def _existing(name: str, features: datasets.Features, option: str) -> str:
    if name not in features:
        raise unknown_name(f"column for {option}", name, features)
    return name


def _only(found: list[str], usual: tuple[str, ...], features: datasets.Features, what: str, option: str) -> str:
    if len(found) > 1:
        found = [name for name in usual if name in found][:1] or found
    if len(found) != 1:
        state = "several columns could hold" if found else "no column holds"
        raise InputError(f"{state} the {what}: name it with {option}; columns: {', '.join(found or features)}")
    return found[0]

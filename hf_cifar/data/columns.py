"""Find the columns that hold the images and the labels."""

from typing import Any

import datasets

from hf_cifar.data.classes import MISSING, Classes, is_plain
from hf_cifar.errors import InputError, unknown_name

IMAGE_NAMES = ("image", "img", "pixel_values")
LABEL_NAMES = ("label", "labels", "target", "class", "category", "fine_label")


def image_column(features: datasets.Features, requested: str | None) -> str:
    """Return the column of the images: the requested one, or the one that the features show.

    Raises:
        InputError: no such column, none that holds images, or several.
    """
    if requested is not None:
        return _existing(requested, features, "--image-column")
    matches = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    matches = matches or [name for name, kind in features.items() if _holds_encoded_images(kind)]
    return _only(matches, IMAGE_NAMES, features, "images", "--image-column")


def label_column(features: datasets.Features, requested: str | None, image: str) -> str:
    """Return the column of the labels: the requested one, or the one that the features show.

    Raises:
        InputError: no such column, none that can be labels, or several.
    """
    if requested is not None:
        return _existing(requested, features, "--label-column")
    return _only(label_columns(features, image), LABEL_NAMES, features, "labels", "--label-column")


def label_columns(features: datasets.Features, image: str) -> list[str]:
    """Return the columns that can be labels: those of type ClassLabel, or else plain ones, by their usual names."""
    matches = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    if not matches:
        plain = [name for name, kind in features.items() if name != image and is_plain(kind)]
        matches = [name for name in plain if name.lower() in LABEL_NAMES] or plain
    return matches


def find_classes(feature: Any, values: list[Any], column: str, split: str) -> Classes:
    """Return the classes of a label column: its ClassLabel names, or its distinct values in order.

    Args:
        feature: the column's feature.
        values: its values in the split that defines the classes.
        column: its name, for messages.
        split: name of that split, for messages.

    Raises:
        InputError: the column does not hold one class for each image.
    """
    if isinstance(feature, datasets.ClassLabel):
        return Classes(list(feature.names), list(range(feature.num_classes)), named=True, split=split)
    if not is_plain(feature):
        raise InputError(f"column {column!r} holds {feature}, not one class for each image; see --label-column")
    distinct = sorted({value for value in values if value is not None})
    if MISSING in distinct and 0 in distinct:
        distinct.remove(MISSING)
    named = any(isinstance(value, str) for value in distinct)
    return Classes([str(value) for value in distinct], distinct, named=named, split=split)


def _holds_encoded_images(feature: Any) -> bool:
    """Return whether a column holds bytes, alone or with a path, as other tools write images to Parquet files."""
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return isinstance(feature, datasets.Value) and "binary" in feature.dtype


def _existing(name: str, features: datasets.Features, option: str) -> str:
    if name not in features:
        raise unknown_name(f"column for {option}", name, features)
    return name


def _only(matches: list[str], usual: tuple[str, ...], features: datasets.Features, kind: str, option: str) -> str:
    """Return the only match, or the first of the usual names among several."""
    if len(matches) > 1:
        matches = [name for name in usual if name in matches][:1] or matches
    if len(matches) != 1:
        state = "several columns could hold" if matches else "no column holds"
        raise InputError(f"{state} the {kind}: name it with {option}; columns: {', '.join(matches or features)}")
    return matches[0]

"""Names of splits, as datasets, folders and files use them."""

import re
from collections.abc import Sequence

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}


def usual_split(name: str) -> str | None:
    """Return train, validation or test for any of the names that they go by; None for another name."""
    return next((usual for usual, names in SPLIT_NAMES.items() if name.lower() in names), None)


def splits_in(name: str) -> Sequence[str]:
    """Return the splits that the words of a file's or folder's name stand for, as `datasets` reads such names.

    Words are separated by `-`, `.`, `_`, spaces and digits: "train-00000-of-00002", "my_data_test", "valid2".
    """
    words = (usual_split(word) for word in re.split(r"[-._ 0-9]+", name))
    return list(dict.fromkeys(word for word in words if word))

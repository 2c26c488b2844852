"""Match the classes of a dataset and of a model whose names differ slightly."""

import re

import numpy as np

from hf_cifar.errors import InputError, hint


def match_labels(dataset_names: list[str], model_names: list[str]) -> np.ndarray:
    """Return the model's index of each class of a dataset, matched by name.

    Case, spaces and punctuation do not count. The dataset may have fewer classes than the model, in any order.

    Returns:
        int64 [classes of the dataset].

    Raises:
        InputError: the model has no class of that name, or several.
    """
    known: dict[str, list[int]] = {}
    for index, name in enumerate(model_names):
        known.setdefault(plain(name), []).append(index)
    indices = []
    for name in dataset_names:
        matches = known.get(plain(name), [])
        matches = [index for index in matches if model_names[index] == name] or matches
        if len(matches) != 1:
            count = "several classes" if matches else "no class"
            near = "" if matches else hint(name, model_names)
            raise InputError(
                f"the model has {count} named {name!r}, which the dataset has: {near}"
                f"its classes are {', '.join(model_names[:20])}{', …' if len(model_names) > 20 else ''}"
            )
        indices.append(matches[0])
    if len(set(indices)) < len(indices):
        raise InputError("two classes of the dataset match the same class of the model: rename one of them")
    return np.array(indices, dtype=np.int64)


def plain(name: str) -> str:
    """Return a name in lower case without spaces and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name

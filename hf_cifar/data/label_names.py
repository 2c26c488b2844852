"""Classes that two sides call by names which are not quite the same."""

import re

import numpy as np

from hf_cifar.errors import InputError, hint


def match_labels(dataset_names: list[str], model_names: list[str]) -> np.ndarray:
    """Which class of a model each class of a dataset is, by name.

    Case, spaces and punctuation do not count. The dataset may have fewer classes than the model, in any order.

    Returns:
        int64 [classes of the dataset].

    Raises:
        InputError: the model has no class of that name, or several.
    """
    known: dict[str, list[int]] = {}
    for number, name in enumerate(model_names):
        known.setdefault(plain(name), []).append(number)
    found = []
    for name in dataset_names:
        places = known.get(plain(name), [])
        exact = [place for place in places if model_names[place] == name]
        places = exact or places
        if len(places) != 1:
            what = "several classes" if places else "no class"
            near = "" if places else hint(name, model_names)
            raise InputError(
                f"the model has {what} named {name!r}, which the dataset has: {near}"
                f"its classes are {', '.join(model_names[:20])}{', …' if len(model_names) > 20 else ''}"
            )
        found.append(places[0])
    if len(set(found)) < len(found):
        raise InputError("two classes of the dataset go by the same name in the model: rename one of them")
    return np.array(found, dtype=np.int64)


def plain(name: str) -> str:
    """A name without what does not count: case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name

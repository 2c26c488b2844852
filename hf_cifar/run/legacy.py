"""Read the `metrics.json` of versions before the schema had a number: sentences become data, once, here."""

import re
from typing import Any

DIGITS = "digits (scikit-learn)"


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a `metrics.json` in the present schema.

    Args:
        values: of any version.
    """
    if "schema_version" in values:
        return values
    values = dict(values)
    trains = values["stage"] != "evaluate"
    values["dataset"] = _dataset(values["dataset"])
    for split in ("test", "validation"):
        if split in values:
            values[split] = _split(values[split])
    if trains:
        values["weights"] = _weights(str(values["model"]))
        values["train"] = _train(values["train"], values["stage"])
    return values


def _dataset(values: dict[str, Any]) -> dict[str, Any]:
    name = str(values["id"])
    kind = "hub" if "/" in name else "bundled" if name == DIGITS else "folder"
    splits = {part: _split_origin(part, words) for part, words in (values.get("splits") or {}).items()}
    return {**values, "kind": kind, "splits": splits}


def _split_origin(part: str, words: str) -> dict[str, Any]:
    words, _, limit = words.partition("; ")
    if limit.startswith("it has no test split") or limit.startswith("the source has no test split"):
        _, _, limit = limit.partition("; ")
    origin: dict[str, Any] = {"kind": "published", "source": part}
    if held := re.match(r"(\d+)% of train, held out by seed (\d+)", words):
        origin = {"kind": "held_out", "source": "train", "fraction": int(held[1]) / 100, "seed": int(held[2])}
    elif words == "the rest of train":
        origin = {"kind": "rest", "source": "train"}
    elif words == "every image of the source":
        origin = {"kind": "whole", "source": "all"}
    elif published := re.match(r"the source's (\w+) split", words):
        substitute = part == "test" and published[1] == "validation"
        origin = {"kind": "published", "source": published[1], "substitute": substitute}
    if cut := re.match(r"(\d+) of its images, chosen by seed (\d+)", limit):
        origin |= {"limit": int(cut[1]), "limit_seed": int(cut[2])}
    return origin


def _split(values: dict[str, Any]) -> dict[str, Any]:
    present = [row["f1"] for row in values["per_class"].values() if row["num_examples"]]
    return {
        "f1_macro_present": sum(present) / len(present) if present else values["f1_macro"],
        "temperature": None,
        "nll_calibrated": None,
        "ece_calibrated": None,
        "reliability": [],
        "reliability_calibrated": None,
        "confused_pairs": [],
        **values,
    }


def _weights(words: str) -> dict[str, Any]:
    if words.endswith(", random weights"):
        return {"kind": "random", "architecture": words.removesuffix(", random weights")}
    architecture, comma, name = words.partition(", ")
    if words.startswith("torchvision ") and comma:
        return {"kind": "torchvision", "architecture": architecture, "name": name}
    if from_file := re.fullmatch(r"(.+?),? weights from (.+)", words):
        return {"kind": "file", "architecture": from_file[1], "name": from_file[2]}
    if "/" in words:
        name, _, revision = words.partition("@")
        return {"kind": "hub", "architecture": name, "name": name, "revision": revision or None}
    return {"kind": "bundled" if words == "resnet18-mini" else "folder", "architecture": words, "name": words}


def _train(values: dict[str, Any], stage: str) -> dict[str, Any]:
    values = dict(values)
    if stage == "probe":
        values["augmentation"] = {"augment": values.get("augmentation") or "none"}
        return values
    values["start"] = _start(str(values.get("start", "")))
    return values


def _start(words: str) -> dict[str, Any]:
    plain = words.removesuffix(", with a new head")
    new_head = plain != words
    if plain.startswith("this run's probe"):
        return {"kind": "probe", "new_head": new_head}
    if plain == "the pretrained model":
        return {"kind": "pretrained", "new_head": new_head}
    return {"kind": "checkpoint", "name": plain, "new_head": new_head}

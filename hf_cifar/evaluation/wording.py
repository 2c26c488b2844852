"""What a report says: sentences, and rows of tables, from the content of metrics.json."""

from collections.abc import Callable, Iterator
from typing import Any

from hf_cifar.evaluation.figures.confusion import MAX_NAMED
from hf_cifar.evaluation.figures.per_class import recall_interval, worst_classes
from hf_cifar.evaluation.figures.reliability import mean_confidence
from hf_cifar.evaluation.figures.robustness import worst_corruptions

MAX_PAIRS = 10
FOLDED = 30  # classes: a longer table is folded away
Rows = list[tuple[str, str]]
STAGES = {"probe": "Linear probe", "finetune": "Fine-tuning", "evaluate": "Evaluation"}
NAMES = {"bn": "BatchNorm", "chosen": "chosen on validation", "seconds": "time of the whole stage", "start": "from"}
CLOSE = 0.005  # of confidence and accuracy: no more than that is called neither too sure nor too modest


def percent(value: float) -> str:
    """An accuracy as everywhere on screen: 95.26%."""
    return f"{value:.2%}"


def share(value: float) -> str:
    """A share of which the second decimal says nothing: 95.3%."""
    return f"{value:.1%}"


def between(interval: tuple[float, float] | list[float], digits: int = 1) -> str:
    """An interval, in little room: 94.1–96.0%."""
    low, high = interval
    return f"{100 * low:.{digits}f}–{high:.{digits}%}"


def number(value: float) -> str:
    """A count or a plain number, with as many digits as tell something."""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def text(value: Any) -> str:
    """Any plain value, as a cell of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value)
    return str(value)


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """The figures that come first."""
    test = metrics["test"]
    low, high = test["accuracy_ci95"]
    tiles = [
        ("macro F1", percent(test["f1_macro"])),
        ("top-5 accuracy" if len(test["per_class"]) > 5 else "", percent(test["top5_accuracy"])),
        ("calibration error", percent(test["ece"])),
        ("NLL (nats)", f"{test['nll']:.4f}"),
    ]
    return {
        "kind": STAGES.get(metrics["stage"], metrics["stage"]),
        "accuracy": percent(test["accuracy"]),
        "interval": f"{percent(low)} to {percent(high)}",
        "images": f"{test['num_examples']:,}",
        "split": metrics.get("split") or "test",
        "bar": [f"{100 * value:.2f}" for value in (test["accuracy"], low, high - low)],
        "tiles": [tile for tile in tiles if tile[0]],
    }


def measured(metrics: dict[str, Any]) -> Rows:
    """What was measured on what."""
    data, test = metrics["dataset"], metrics["test"]
    splits, missing = data.get("splits") or {}, data.get("num_corrupt") or {}
    rows = [
        ("Model", metrics["model"]),
        ("Base model", metrics.get("base_model")),
        ("Model folder", metrics.get("model_dir")),
        ("Dataset", data["id"]),
        ("Revision", data.get("revision")),
        ("Fingerprint", data.get("fingerprint")),
        ("Split measured", metrics.get("split")),
    ]
    for part in ("test", "validation", "train"):
        count = test["num_examples"] if part == "test" else data.get(f"num_{part}")
        if count is not None:
            left_out = f"; {missing[part]:,} that cannot be read are left out" if missing.get(part) else ""
            origin = f": {splits[part]}" if splits.get(part) else ""
            rows.append((part.capitalize(), f"{count:,} images{origin}{left_out}"))
    rows.append(("Classes", f"{len(test['per_class']):,}"))
    rows.append(("Seed", metrics.get("seed")))
    return [(name, text(value)) for name, value in rows if value is not None]


def beside(metrics: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The same figures of test and, where there is one, of validation: what the columns are, and the rows."""
    sections = {name: metrics[name] for name in ("test", "validation") if name in metrics}
    columns = [metrics.get("split") or name if name == "test" else name for name in sections]
    wanted: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("images", lambda part: f"{part['num_examples']:,}"),
        ("accuracy", lambda part: percent(part["accuracy"])),
        ("95 % interval", lambda part: between(part["accuracy_ci95"], digits=2)),
        ("macro F1", lambda part: percent(part["f1_macro"])),
        ("NLL (nats)", lambda part: f"{part['nll']:.4f}"),
        ("calibration error", lambda part: percent(part["ece"])),
    ]
    if len(metrics["test"]["per_class"]) > 5:
        wanted.insert(4, ("top-5 accuracy", lambda part: percent(part["top5_accuracy"])))
    if all(part.get("temperature") is not None for part in sections.values()):
        wanted += [
            ("temperature", lambda part: f"{part['temperature']:.3f}"),
            ("NLL at that temperature", lambda part: f"{part['nll_calibrated']:.4f}"),
            ("calibration error at that temperature", lambda part: percent(part["ece_calibrated"])),
        ]
    return columns, [(name, [write(part) for part in sections.values()]) for name, write in wanted]


def calibration(test: dict[str, Any]) -> list[str]:
    """Whether the model is as often right as it says, in sentences."""
    confidence, accuracy = mean_confidence(test["reliability"]), test["accuracy"]
    if abs(confidence - accuracy) <= CLOSE:
        verdict = "about as sure as it should be"
    else:
        verdict = "too sure of itself" if confidence > accuracy else "too modest"
    said = [
        f"The model is {verdict}: on average it gives its answer a probability of {share(confidence)}, and is right "
        f"{share(accuracy)} of the time. Its expected calibration error, the mean distance between the two over "
        f"{len(test['reliability'])} bins, is {percent(test['ece'])}."
    ]
    temperature = test.get("temperature")
    if temperature is None:
        return [*said, "No temperature is known for this model: fitting one takes a validation split."]
    said.append(
        f"Dividing its logits by {temperature:.3f}, a temperature fitted on validation, brings that error to "
        f"{percent(test['ece_calibrated'])}, and the negative log-likelihood from {test['nll']:.4f} to "
        f"{test['nll_calibrated']:.4f} nats; no answer changes. The temperature is in the saved model's config.json "
        "(calibration_temperature); nothing applies it unasked."
    )
    return said


def classes(test: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of the table of classes, that with the lowest recall first."""
    rows = []
    places = {name: place for place, name in enumerate(test["per_class"])}
    for name, figures in worst_classes(test):
        there = figures["num_examples"] > 0
        rows.append(
            {
                "name": name if len(places) <= MAX_NAMED else f"{places[name]}: {name}",
                "recall": share(figures["recall"]) if there else "–",
                "interval": between(recall_interval(figures)) if there else "–",
                "precision": share(figures["precision"]),
                "f1": share(figures["f1"]) if there else "–",
                "images": number(figures["num_examples"]),
            }
        )
    return rows


def robustness(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The table of corruptions, the hardest first."""
    section = metrics.get("robustness")
    if section is None:
        return None
    rows = [(name.replace("_", " "), values) for name, values in worst_corruptions(section)]
    said = (
        f"Each of {len(rows)} corruptions at {len(rows[0][1])} severities, made from {section['num_examples']:,} of "
        f"the images: accuracy falls from {percent(section['clean_accuracy'])} on clean images to "
        f"{percent(section['mean_corruption_accuracy'])} on average."
    )
    return {"words": said, "rows": rows, "severities": range(1, len(rows[0][1]) + 1)}


def sections(metrics: dict[str, Any], mistakes: bool, label_errors: bool) -> Rows:
    """The anchors and names of the page's sections."""
    there = {
        ("measured", "What was measured"): True,
        ("calibration", "Calibration"): True,
        ("classes", "Classes"): True,
        ("confusions", "Confusions"): True,
        ("mistakes", "Worst mistakes"): mistakes,
        ("label-errors", "Label errors"): label_errors,
        ("robustness", "Robustness"): "robustness" in metrics,
        ("training", "Training"): "train" in metrics,
        ("repeat", "Repeat it"): True,
    }
    return [name for name, shown in there.items() if shown]


def training(metrics: dict[str, Any]) -> Rows:
    """How the model was trained: every figure of the section `train`."""
    return list(_flat(metrics.get("train", {})))


def augmentation() -> str:
    """The picture of augmented images, for those who do not see it."""
    return "A few training images as they are, and as the network sees them in each of the first 4 epochs."


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and value of everything that is known, in words."""
    for name, value in values.items():
        said = NAMES.get(name, name.replace("_", " "))
        if value is None or value in ("", [], {}):
            continue
        if isinstance(value, dict):
            yield said, "; ".join(f"{inner} {written}" for inner, written in _flat(value))
        elif name.endswith("seconds"):
            yield NAMES.get(name, f"{name.removesuffix('_seconds')} time"), duration(value)
        elif name.endswith("_mb"):
            yield said.removesuffix(" mb"), f"{value:,.0f} MB"
        elif name.endswith(("accuracy", "f1_macro")):
            yield said, percent(value)
        else:
            yield said, text(value)

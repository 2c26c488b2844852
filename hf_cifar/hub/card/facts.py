"""What a model card says in sentences: facts of this run, found in its files."""

import math
from typing import Any

from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.markdown import code, duration, listed, percent, plain

RESAMPLING = {0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming"}
FIGURES = {
    "confusion": "Confusion matrix of the test split: right labels by row, answers by column",
    "reliab": "Reliability diagram of the test split: accuracy by confidence",
    "calib": "Reliability diagram of the test split: accuracy by confidence",
    "curve": "Loss, learning rate and validation metrics over the course of training",
    "histor": "Loss, learning rate and validation metrics over the course of training",
    "class": "Recall and precision of each class on the test split",
    "augment": "Training images as they are, and as the network sees them in the first epochs",
    "robust": "Accuracy by corruption and severity",
    "corrupt": "Accuracy by corruption and severity",
    "mistake": "The worst mistakes on the test split",
    "label_error": "Test images whose label is in doubt",
}
PARTS = {
    "confusion": "classes",
    "class": "classes",
    "reliab": "calibration",
    "calib": "calibration",
    "curve": "log",
    "histor": "log",
}
PARTS |= {"augment": "data", "robust": "robustness", "corrupt": "robustness", "mistake": "mistakes"}
PARTS |= {"label_error": "labels"}


def figures(data: CardData) -> dict[str, list[tuple[str, str]]]:
    """For each part of the card its pictures: names of files, and what they show in words."""
    found: dict[str, list[tuple[str, str]]] = {part: [] for part in (*PARTS.values(), "other")}
    for name in data.figures:
        key = next((key for key in FIGURES if key in name.lower()), None)
        words = name.removesuffix(".png").replace("_", " ").replace("-", " ")
        part = PARTS[key] if key else "other"
        if part == "robustness" and not data.stage.metrics.get("robustness"):
            part = "other"
        found[part].append((name, FIGURES[key] if key else words.capitalize()))
    return found


def base(data: CardData) -> str:
    """What the network was before this run, as a part of a sentence."""
    model = str(data.stage.metrics["model"])
    if data.random_weights:
        return "random weights"
    if data.base_model:
        link = f"[{plain(data.base_model)}](https://huggingface.co/{data.base_model})"
        name, _, revision = model.partition("@")
        if name != data.base_model:
            return f"{link} ({plain(model)})"
        return f"{link} at revision {code(revision)}" if revision else link
    if data.bundled_base:
        return "`resnet18-mini` (the backbone that ships with `hf_cifar`)"
    return f"local weights ({plain(model)})"


def majority(data: CardData) -> str:
    """The accuracy of the model that always gives the most frequent label of test."""
    counts = [each["num_examples"] for each in data.test["per_class"].values()]
    return percent(max(counts) / sum(counts), sum(counts))


def confidence(data: CardData) -> str | None:
    """How the scores compare with what is right, from the bins of the reliability diagram."""
    bins = [each for each in data.test.get("reliability") or [] if each["count"]]
    if not bins:
        return None
    total = sum(each["count"] for each in bins)
    mean = math.fsum(each["count"] * each["confidence"] for each in bins) / total
    low, high = data.test["accuracy_ci95"]
    verdict = "the model is too sure of itself" if mean > high else "the model is less sure of itself than it could be"
    if low <= mean <= high:
        verdict = "no difference beyond what the choice of the test images explains"
    return (
        f"The score of its answer is {percent(mean)} on average, and {percent(data.test['accuracy'])} of the answers "
        f"are right: {verdict}."
    )


def preprocessing(data: CardData) -> list[str]:
    """What happens to an image before the network sees it, as the saved processor says; empty where it says nothing."""
    processor = data.processor
    steps = []
    size = processor.get("size")
    if processor.get("do_resize") and isinstance(size, dict):
        shape = f"the shorter edge to {size['shortest_edge']}" if "shortest_edge" in size else None
        if shape is None and {"height", "width"} <= set(size):
            shape = f"to {size['width']}x{size['height']}"
        how = RESAMPLING.get(int(processor.get("resample") or 0), "")
        part = processor.get("crop_pct")
        margin = f", of which the middle {part:g} is cut out" if part else ""
        if shape:
            steps.append(f"resized {shape} pixels{f' ({how})' if how else ''}{margin}")
    crop = processor.get("crop_size")
    if processor.get("do_center_crop") and isinstance(crop, dict):
        steps.append(f"cropped in the middle to {crop['width']}x{crop['height']} pixels")
    if processor.get("do_rescale"):
        steps.append("scaled to the range from 0 to 1")
    if processor.get("do_normalize") and "image_mean" in processor:
        mean, std = (_numbers(processor[key]) for key in ("image_mean", "image_std"))
        whose = (
            "the dataset's own" if data.config.model.normalization == "dataset" else "those of the pretrained weights"
        )
        steps.append(f"normalised with mean ({mean}) and standard deviation ({std}), {whose}")
    return steps


def hardware(data: CardData) -> str | None:
    """What the stage ran on, where metrics.json says it."""
    found: dict[str, Any] = data.stage.metrics.get("hardware") or {}
    device, cpu, cores = (found.get(key) for key in ("device", "cpu", "cores"))
    processor = f"{plain(cpu)}" if cpu else "a processor"
    processor += f" with {cores} cores" if cores else ""
    if not found:
        return None
    return processor if device in (None, "cpu") else f"{plain(device)}, beside {processor}"


def times(data: CardData) -> list[str]:
    """For each stage how long it took, and for what."""
    found = []
    for stage in data.stages:
        train = stage.metrics["train"]
        if stage.name == "probe":
            cached = not sum((train.get("images_through_backbone") or {"all": 1}).values())
            features = f"features in {duration(train['feature_seconds'])}"
            features = "features from the cache of an earlier run" if cached else features
            parts = f"Linear probe: {duration(train['seconds'])} in all; {features}, the head in "
            parts += duration(train["head_seconds"])
        else:
            parts = (
                f"Fine-tuning: {duration(train['seconds'])} in all; {duration(train['training_seconds'])} of it are "
            )
            parts += f"training steps and validation, {int(train['images_per_second']):,} training images a second"
        if train["processes"] > 1:
            parts += f"; {train['processes']} processes"
        if train.get("peak_memory_mb"):
            parts += f"; at most {math.ceil(train['peak_memory_mb']):,} MB of memory"
        found.append(parts)
    return found


def corrupt(data: CardData) -> str | None:
    """How many images could not be read, where any."""
    counts = data.stage.metrics["dataset"].get("num_corrupt") or {}
    words = [f"{count:,} of {name}" for name, count in counts.items() if count]
    return listed(words) if words else None


def dataset(data: CardData) -> str:
    """What the dataset is called, with a link and its commit where it is on the Hub."""
    revision = data.stage.metrics["dataset"]["revision"]
    if data.dataset_id:
        at = f" at revision {code(revision)}" if revision else ""
        part = data.config.data.dataset_config
        configuration = f", configuration {code(part)}," if part else ""
        return f"[{plain(data.dataset_id)}](https://huggingface.co/datasets/{data.dataset_id}){configuration}{at}"
    if data.dataset_is_local:
        return f"the local folder {code(data.dataset_name)}"
    return "scikit-learn's digits (`sklearn.datasets.load_digits`), 8x8 pixels, which ship with it"


def _numbers(values: Any) -> str:
    values = values if isinstance(values, list) else [values]
    return ", ".join(f"{value:.6g}" for value in values)

"""What a model card says in sentences: facts of this run, found in its files."""

import math
from typing import Any

from hf_cifar.hub.card_data import CardData
from hf_cifar.hub.markdown import code, duration, listed, percent, plain, points

SMALL = 64
RESAMPLING = {0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming"}
FIGURES = {
    "confusion": "Confusion matrix of the test split: right labels by row, answers by column",
    "reliab": "Reliability diagram of the test split: accuracy by confidence",
    "calib": "Reliability diagram of the test split: accuracy by confidence",
    "curve": "Loss, learning rate and validation metrics over the course of training",
    "histor": "Loss, learning rate and validation metrics over the course of training",
    "augment": "Training images as they are, and as the network sees them in the first epochs",
    "robust": "Accuracy by corruption and severity",
    "corrupt": "Accuracy by corruption and severity",
    "mistake": "The worst mistakes on the test split",
    "label_error": "Test images whose label is in doubt",
}
PARTS = {"confusion": "classes", "reliab": "calibration", "calib": "calibration", "curve": "log", "histor": "log"}
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
        return "random weights: nothing was pretrained"
    if data.base_model:
        return f"[{plain(data.base_model)}](https://huggingface.co/{data.base_model})"
    if data.bundled_base:
        return "`resnet18-mini`, the backbone that ships with hf_cifar"
    return f"weights that are not on the Hub ({plain(model)})"


def weak_base(data: CardData) -> str | None:
    """What is known, or not known, against the weights that the run started from."""
    model = str(data.stage.metrics["model"])
    if data.random_weights:
        return (
            "The network started from random weights: all that it knows comes from the training images of this dataset, "
            "and it will be weaker than one that was pretrained."
        )
    if data.bundled_base:
        return (
            "The backbone is small (0.7 million parameters) and was pretrained on Tiny-ImageNet-200 alone, where it has "
            "26.47 % top-1: its features are far weaker than those of ImageNet weights. It is meant for demonstrations."
        )
    if "tiny-imagenet" in model.lower() or "tiny_imagenet" in model.lower():
        return (
            "By their name the starting weights were pretrained on Tiny-ImageNet (100,000 images of 64x64 pixels): "
            "their features are weaker than those of ImageNet weights, and so is whatever is built on them."
        )
    if data.base_model is None:
        return (
            "The starting weights were a local file, and what they were trained on is not known to this card: their "
            "faults, their license, and images of this test split among their training images cannot be ruled out."
        )
    return None


def weakest(data: CardData) -> str | None:
    """The classes of the lowest F1 and what they are taken for."""
    entries = sorted(data.test["per_class"].items(), key=lambda entry: (entry[1]["f1"], entry[0]))
    entries = [entry for entry in entries if entry[1]["num_examples"]][: 3 if len(entries) > 3 else 1]
    taken_for: dict[str, str] = {}
    for pair in data.test.get("confused_pairs") or []:
        if pair["count"]:
            taken_for.setdefault(pair["label"], pair["prediction"])
    words = []
    for name, each in entries:
        wrong = f", most often taken for {plain(taken_for[name])}" if name in taken_for else ""
        words.append(f"{plain(name)} (F1 {percent(each['f1'])}, recall {percent(each['recall'])}{wrong})")
    return listed(words) if words else None


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
    gap = mean - data.test["accuracy"]
    side = "too sure of itself" if gap > 0 else "less sure of itself than it could be"
    if abs(gap) < 0.005:
        side = "about as sure of itself as it may be"
    return (
        f"The score of its answer is {percent(mean)} on average, and {percent(data.test['accuracy'])} of the answers "
        f"are right: the model is {side}."
    )


def images(data: CardData) -> str | None:
    """That the images are small and are enlarged, where it is so, and by how much."""
    sizes = data.example_sizes
    if not sizes or max(max(size) for size in sizes) > SMALL:
        return None
    width, height = sizes[-1]
    shown = f"{width}x{height} pixels" if len(sizes) == 1 else f"at most {width}x{height} pixels"
    seen = data.image_size
    enlarged = f" and are enlarged to {seen[1]}x{seen[0]} for the network" if seen and seen[0] > height else ""
    return (
        f"The images are small ({shown} in the examples of this repository){enlarged}. A large photograph that is "
        "shrunk to that, or one with several things in it, looks different from what the model has learned from."
    )


def limits(data: CardData) -> list[str]:
    """What the model cannot do, or nobody knows of it, as sentences with the figures of this run."""
    test, origin = data.test, str(data.stage.metrics["dataset"]["splits"]["test"])
    count, classes = test["num_examples"], len(data.label_names)
    lines = [
        f"It always answers with one of its {classes} classes, also for an image that shows none of them; "
        "a low score is the only hint, and not a reliable one.",
        "The test images come from where the training images come from"
        + (", and were taken from the train split, as there is no test split. " if "no test split" in origin else ". ")
        + "On images from elsewhere it will be right less often; by how much was not measured"
        + (", but for the corruptions above." if data.stage.metrics.get("robustness") else ".")
        + " What backgrounds, views or origins the training images favour was not examined.",
        f"{count:,} test images leave an interval of {width_of_interval(data)} points for the accuracy, and this is one "
        "run with one seed: a difference to another model that is not well above that says nothing.",
    ]
    weak = weakest(data)
    if weak:
        lines.append(f"Some classes are far weaker than the average: {weak}." if _uneven(data) else f"Weakest: {weak}.")
    lines += [line for line in (images(data), label_noise(data), weak_base(data), local_data(data)) if line]
    if test.get("temperature") is None:
        lines.append("Its scores are not calibrated: read them as an order, not as probabilities.")
    return lines


def meant_for(data: CardData) -> str:
    """What the model is for, as the end of a sentence."""
    uses = f"sorting images like those of {plain(data.dataset_name)} into its {len(data.label_names)} classes"
    if data.stage.name == "probe":
        return f"{uses}, as a baseline, and as the start of a fine-tuning"
    return f"{uses}, as a baseline, and as the start of further training"


def label_noise(data: CardData) -> str | None:
    """What is known of wrong labels among the test images."""
    count, found = data.test["num_examples"], data.label_errors
    words = []
    if found:
        words.append(
            f"The labels of {found:,} of the {count:,} test images ({percent(found / count, count)}) are in doubt, by the "
            "probabilities of this model alone: some are wrong, others are merely hard."
        )
    if data.is_cifar10:
        words.append(
            "Of CIFAR-10's test labels 54 of 10,000 (0.54 %) were found wrong by people who looked "
            "([labelerrors.com](https://labelerrors.com)): no accuracy on them means much above 99.46 %."
        )
    return " ".join(words) if words else None


def local_data(data: CardData) -> str | None:
    """What follows from data that only its owner has."""
    if not data.dataset_is_local:
        return None
    copy = " Nor are its figures to be laid beside published ones for CIFAR-10 to a tenth of a point." * data.is_cifar10
    return f"The images came from a local folder, so nobody else can check these figures without it.{copy}"


def _uneven(data: CardData) -> bool:
    """Whether the weakest class is far below the average."""
    return min(each["f1"] for each in data.test["per_class"].values()) < data.test["f1_macro"] - 0.1


def width_of_interval(data: CardData) -> str:
    """The width of the 95 % interval, in points."""
    low, high = data.test["accuracy_ci95"]
    return points(high - low, data.test["num_examples"])


def preprocessing(data: CardData) -> list[str]:
    """What happens to an image before the network sees it, as the saved processor says; empty where it says nothing."""
    processor = data.processor
    steps = []
    size = processor.get("size")
    if processor.get("do_resize") and isinstance(size, dict):
        shape = f"the shorter edge to {size['shortest_edge']}" if "shortest_edge" in size else None
        if shape is None and {"height", "width"} <= set(size):
            shape = f"to {size['width']}x{size['height']}"
        how = RESAMPLING.get(processor.get("resample"), "")
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
        name = "Linear probe" if stage.name == "probe" else "Fine-tuning"
        if stage.name == "probe":
            parts = [
                f"{duration(train['feature_seconds'])} for features",
                f"{duration(train['head_seconds'])} for the head",
            ]
            read = train.get("images_through_backbone") or {}
            if read and not sum(read.values()):
                parts[0] += " (from the cache of an earlier run)"
        else:
            parts = [f"{duration(train['training_seconds'])} for training"]
            parts.append(f"{train['images_per_second']:,.0f} images a second")
        processes = f"; {train['processes']} processes" if train["processes"] > 1 else ""
        memory = f"; at most {train['peak_memory_mb']:,.0f} MB of memory" if train.get("peak_memory_mb") else ""
        found.append(f"{name}: {duration(train['seconds'])} in all, of which {listed(parts)}{processes}{memory}")
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

"""What a model is for, what it cannot do, and what nobody knows of it: facts of this run, in sentences."""

from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.markdown import listed, percent, plain, points

SMALL = 64


def intended(data: CardData) -> str:
    """What the model is for, as the end of a sentence."""
    uses = f"sorting images like those of {plain(data.dataset_name)} into its {len(data.label_names)} classes"
    later = "a fine-tuning" if data.stage.name == "probe" else "further training"
    return f"{uses}, one label an image; as a baseline; as the start of {later}"


def limits(data: CardData) -> list[tuple[str, str]]:
    """What is to be known before the model is relied on: for each limit its name, and what it is."""
    classes = len(data.label_names)
    found: list[tuple[str, str | None]] = [
        (
            "Closed set",
            f"It always answers with one of its {classes} classes, also for an image that shows none of them; "
            "a low score is the only hint, and not a reliable one.",
        ),
        ("Same source", _same_source(data)),
        ("One run", _one_run(data)),
        ("No gain", no_gain(data)),
        ("Weak classes", weakest(data)),
        ("Small images", small_images(data)),
        ("Wrong labels", label_noise(data)),
        ("Starting weights", weak_base(data)),
        ("Local data", local_data(data)),
    ]
    if data.test.get("temperature") is None:
        found.append(("Scores", "They are not calibrated: read them as an order, not as probabilities."))
    return [(name, words) for name, words in found if words]


def _same_source(data: CardData) -> str:
    origin = str(data.stage.metrics["dataset"]["splits"]["test"])
    taken = ", and were taken out of its train split, as it has no test split" if "no test split" in origin else ""
    measured = ", but for the corruptions under Robustness" if data.stage.metrics.get("robustness") else ""
    return (
        f"The test images come from the dataset of the training images{taken}. On images from elsewhere it is likely "
        f"to be right less often; by how much was not measured{measured}. Which backgrounds, views or origins the "
        "training images favour was not examined either."
    )


def _one_run(data: CardData) -> str:
    low, high = data.test["accuracy_ci95"]
    count = data.test["num_examples"]
    return (
        f"The accuracy is that of one training with one seed, on {count:,} test images, which leave an interval of "
        f"{points(high - low, count)} points: a smaller difference to another model says little, and how far other "
        "seeds fall apart was not measured."
    )


def no_gain(data: CardData) -> str | None:
    """That fine-tuning did not help, where it is so."""
    if not data.lpft:
        return None
    before, after = (stage.metrics["test"]["accuracy"] for stage in data.stages)
    if after > before:
        return None
    return (
        f"Fine-tuning did not help here: the linear probe that it started from has {percent(before)} on the same test "
        f"images, this model {percent(after)}."
    )


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
        words.append(f"{plain(name)} ({percent(each['f1'])}, recall {percent(each['recall'])}{wrong})")
    return f"Lowest F1, beside a mean of {percent(data.test['f1_macro'])}: {listed(words)}." if words else None


def small_images(data: CardData) -> str | None:
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


def label_noise(data: CardData) -> str | None:
    """What is known of wrong labels among the test images."""
    count, found = data.test["num_examples"], data.label_errors
    right = percent(data.test["accuracy"], count)
    words = []
    if found:
        words.append(
            f"The labels of {found:,} of the {count:,} test images ({percent(found / count, count)}) are in doubt, "
            f"going by the probabilities of this model alone, which is right on {right} itself: some of these labels "
            "will be wrong, other images are merely hard."
        )
    if data.is_cifar10:
        words.append(
            "Of CIFAR-10's test labels 54 of 10,000 (0.54 %) were found wrong by people who looked "
            "([labelerrors.com](https://labelerrors.com)): an accuracy above 99.46 % would mean little."
        )
    return " ".join(words) if words else None


def weak_base(data: CardData) -> str | None:
    """What is known, or not known, against the weights that the run started from."""
    model = str(data.stage.metrics["model"])
    if data.random_weights:
        return (
            "The network started from random weights: all that it knows comes from the training images of this "
            "dataset, and it is likely to be weaker than one that was pretrained."
        )
    if data.bundled_base:
        return (
            "The backbone is small (0.7 million parameters) and was pretrained on Tiny-ImageNet-200 alone, where it "
            "has 26.47 % top-1: its features are far weaker than those of ImageNet weights. It is for demonstrations."
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


def local_data(data: CardData) -> str | None:
    """What follows from data that only its owner has."""
    if not data.dataset_is_local:
        return None
    words = "The images came from a local folder: without it nobody can repeat these figures."
    if data.is_cifar10:
        words += (
            " Whether it holds CIFAR-10 bit for bit is not known; published figures may differ by tenths of a point."
        )
    return words

"""The sentences of a model card that need more than one number."""

import math

from hf_cifar.evaluation.formats.table import describe_measuring, describe_operators
from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.markdown import code, plain
from hf_cifar.hub.card.metadata import license_of
from hf_cifar.hub.card.network import input_size
from hf_cifar.run.ood_scores import ENERGY_FILE
from hf_cifar.run.origins import StartKind, WeightsKind
from hf_cifar.run.wording import describe_weights, describe_without_leaks
from hf_cifar.utils.formatting import error, listed, percent

NUM_NAMED_CLASSES = 10
NUM_PAIRS = 5


def title(data: CardData) -> str:
    """Return the title of the card."""
    verb = "trained" if data.stage.weights.is_random else "fine-tuned"
    how = "linear probe" if data.stage.name == "probe" else verb
    return f"{data.architecture[0].upper()}{data.architecture[1:]} {how} on {plain(data.dataset_name)}"


def summary(data: CardData) -> str:
    """Return what the model is and how it was made."""
    names, size = data.test.label_names, input_size(data.processor)
    facts = f"{data.stage.train.total_parameters:,} parameters" + (f", {size[1]}x{size[0]} input" if size else "")
    shown = f" ({', '.join(plain(name) for name in names)})" if len(names) <= NUM_NAMED_CLASSES else ""
    return (
        f"A **{data.architecture}** image classifier ({facts}) for the {len(names)} classes of "
        f"{plain(data.dataset_name)}{shown}. {_training(data)}"
    )


def start(data: CardData) -> str:
    """Return what the model started from, as the end of a sentence; without a local path."""
    origin = data.stage.start
    head = ", with a new head" if origin and origin.new_head else ""
    if origin and origin.kind is StartKind.CHECKPOINT:
        name = str(data.config.finetune.from_)
        known = name if name in data.hub_names else name.replace("\\", "/").rstrip("/").rpartition("/")[2]
        return f"the saved model {code(known)}{head}"
    return _base(data) + head


def dataset(data: CardData) -> str:
    """Return the dataset with its link and commit, or where else it comes from."""
    if data.dataset.kind == "hub":
        config, revision = data.config.data.dataset_config, data.dataset.revision
        words = f"[{plain(data.dataset.id)}](https://huggingface.co/datasets/{data.dataset.id})"
        words += f", configuration {code(config)}," if config else ""
        return words + (f" at revision {code(revision)}" if revision else "")
    if data.dataset.kind == "folder":
        return f"the local folder {code(data.dataset_name)}"
    return "scikit-learn's digits (`sklearn.datasets.load_digits`), 8x8 pixels"


def without_leaks(data: CardData) -> str:
    """Return the accuracy without images that have a twin in training, and how twins were found."""
    part = data.metrics.without_leaks
    assert part is not None
    return (
        f"Without leaks: {describe_without_leaks(part)}. Two images are near-duplicates here if the cosine of their "
        f"whitened features is at least {part.near_cosine:g} and their perceptual hashes differ in at most "
        f"{part.near_hash} of 128 bits; validation images count as training images."
    )


def majority(data: CardData) -> str:
    """Return the accuracy of always predicting the most frequent label of test."""
    counts = [item.num_examples for item in data.test.per_class.values()]
    return percent(max(counts) / sum(counts), sum(counts))


def confusions(data: CardData) -> str:
    """Return the pairs of classes that are confused most often; empty where there are none."""
    pairs = [
        f"{plain(pair.label)} as {plain(pair.prediction)} ({pair.count:,} images, {percent(pair.share)} of the class)"
        for pair in data.test.confused_pairs[:NUM_PAIRS]
        if pair.count
    ]
    return f"Most frequent confusions: {listed(pairs)}." if pairs else ""


def license_note(data: CardData) -> str:
    """Return the license of the model and where it comes from."""
    name = license_of(data)
    if name is None:
        return "**License:** not known (see the limitations)."
    return f"**License:** {plain(name)}" + ("." if data.license else ", that of the pretrained weights.")


def calibration(data: CardData) -> str:
    """Return how confidence compares with accuracy, and what temperature scaling changes."""
    test, divided = data.test, data.metrics.head_divided_by
    words = []
    shown = test.reliability if divided is None else test.reliability_calibrated or []
    bins = [item for item in shown if item.confidence is not None]
    if bins:
        confidence = math.fsum(item.count * (item.confidence or 0) for item in bins) / sum(item.count for item in bins)
        low, high = test.accuracy_ci95
        verdict = "overconfident" if confidence > high else "underconfident" if confidence < low else "well calibrated"
        words.append(
            f"Mean confidence is {percent(confidence)} at an accuracy of {percent(test.accuracy)}: on average the "
            f"model is {verdict}."
        )
    if test.temperature is None:
        return " ".join([*words, f"No temperature was fitted; the expected calibration error is {error(test.ece)}."])
    if divided is not None:
        scaled = (
            f"**Scores are calibrated:** weight and bias of the head are divided by T = {divided:.4f}, a temperature "
            "that was fitted on validation, so that `pipeline` and every other client answer softmax(logits / T). This "
            f"changes the expected calibration error on test from {error(test.ece)} to {error(test.ece_calibrated)} "
            "without changing a prediction."
        )
        return " ".join([*words, scaled])
    scaling = (
        f"Temperature scaling (T = {test.temperature:.4f}, fitted on validation) changes the expected calibration "
        f"error on test from {error(test.ece)} to {error(test.ece_calibrated)} without changing a prediction; "
        "`pipeline` does not apply it, this does:"
    )
    return " ".join([*words, scaling])


def formats(data: CardData) -> list[str]:
    """Return how the forms of the model were measured, what is quantised in them, and what was left out and why."""
    metrics = data.metrics.formats
    if metrics is None:
        return []
    said = [describe_measuring(metrics), *describe_operators(metrics, exported_only=True)]
    left_out = [f"{name} ({plain(reason)})" for name, reason in metrics.refused.items()]
    return said + ([f"Left out: {'; '.join(left_out)}."] if left_out else [])


def prediction_sets(data: CardData) -> str:
    """Return what prediction sets promise, where they come from, and what they hold."""
    measured = [
        f"at {percent(item.asked)} they hold the true label of {percent(item.coverage, item.num_examples)} "
        f"({item.mean_size:.2f} labels on average)"
        for item in data.metrics.prediction_sets or ()
    ]
    return (
        "**Prediction sets:** `hf-cifar predict --coverage 0.9` gives each image the set of labels that holds the true "
        "one in that fraction of images like those of validation (split conformal prediction, "
        "[RAPS](https://arxiv.org/abs/2009.14193), from `prediction_sets.json`; calibrated on validation, which also "
        f"selected the model). On test: {'; '.join(measured)}."
    )


def ood(data: CardData) -> str:
    """Return what the out-of-distribution score is, how it was measured, and what its threshold keeps."""
    part = data.metrics.ood
    assert part is not None and part.threshold is not None
    return (
        f"`hf-cifar --stage predict --ood-score {part.score}` gives each image a score that is higher the less it is "
        "like those of training (the negative logsumexp of the logits, [Liu et al. 2020]"
        "(https://arxiv.org/abs/2010.03759)), and calls it out of distribution above "
        f"{part.threshold:.4g} (`{ENERGY_FILE}`), which keeps 95 % of the validation images and "
        f"{percent(part.kept, part.num_examples)} of the test images. Measured on the {part.num_examples:,} test "
        f"images against the same images corrupted, at severity {part.severity}; AUROC is 0.5 for a guess:"
    )


def augmentation(data: CardData) -> str:
    """Return how training images were augmented in the last stage."""
    options = data.stage.train.augmentation
    policies = {
        "none": "none",
        "crop": "random shifts by up to 1/8 of the side",
        "standard": "random shifts by up to 1/8 of the side and horizontal flips",
        "trivial": "random shifts by up to 1/8 of the side, horizontal flips and TrivialAugment",
        "rand": "random shifts by up to 1/8 of the side, horizontal flips and RandAugment",
    }
    extra = {
        "random erasing with probability": options.random_erasing,
        "MixUp with alpha": options.mixup,
        "CutMix with alpha": options.cutmix,
    }
    return ", ".join([policies[options.augment], *(f"{name} {value:g}" for name, value in extra.items() if value)])


def unreadable(data: CardData) -> str:
    """Return how many images of each split were left out; empty where none was."""
    return listed([f"{count:,} of {name}" for name, count in data.dataset.num_corrupt.items() if count])


def hardware(data: CardData) -> str:
    """Return what the stage ran on; empty where that is not recorded."""
    machine = data.metrics.hardware
    if machine is None:
        return ""
    cores = f" ({machine.cores} cores)" if machine.cores else ""
    parts = [machine.device if machine.device != "cpu" else "", f"{machine.cpu}{cores}" if machine.cpu else ""]
    return ", ".join(plain(part) for part in parts if part)


def _training(data: CardData) -> str:
    if data.stage.name == "probe":
        return f"It is a linear probe: a linear classifier trained on the frozen features of {_base(data)}."
    if data.is_lpft:
        return (
            "It was trained by [LP-FT](https://arxiv.org/abs/2202.10054) (a linear probe on the frozen backbone, then "
            f"fine-tuning), starting from {_base(data)}."
        )
    return f"It was {'trained' if data.stage.weights.is_random else 'fine-tuned'} from {start(data)}."


def _base(data: CardData) -> str:
    weights, base = data.stage.weights, data.metrics.base_model
    if weights.is_random:
        return "random weights (nothing was pretrained)"
    if base:
        link = f"[{plain(base)}](https://huggingface.co/{base})"
        if weights.kind is WeightsKind.HUB and weights.name == weights.architecture == base:
            return f"{link} at revision {code(weights.revision)}" if weights.revision else link
        return f"{link} ({plain(describe_weights(weights))})"
    if data.has_bundled_base:
        return "`resnet18-mini`, the backbone that ships with `hf_cifar`"
    return f"local weights ({plain(describe_weights(weights))})"

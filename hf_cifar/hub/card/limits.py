"""The limitations of a model, as far as its run shows them."""

from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.markdown import code, plain
from hf_cifar.hub.card.metadata import license_of
from hf_cifar.hub.card.network import input_size
from hf_cifar.run.origins import SplitKind
from hf_cifar.run.split_metrics import IMBALANCED
from hf_cifar.utils.formatting import listed, percent, points

SMALL = 64  # pixels
NUM_WEAK_CLASSES = 3


def limitations(data: CardData) -> list[tuple[str, str]]:
    """Return the name of each limitation and its text, Markdown."""
    classes = len(data.test.label_names)
    texts: list[tuple[str, str | None]] = [
        (
            "Closed set",
            f"The model always predicts one of its {classes} classes, even for an image that shows none of them; a "
            "low score is only a weak hint.",
        ),
        ("In-distribution test set", _same_source(data)),
        ("Luck", _over_seeds(data)) if data.metrics.seeds else ("Single run", _single_run(data)),
        ("No gain from fine-tuning", _no_gain(data)),
        ("Class frequencies", _class_frequencies(data)),
        ("Weakest classes", _weakest_classes(data)),
        ("Low resolution", _low_resolution(data)),
        ("Label noise", _label_noise(data)),
        ("Pretrained weights", _pretrained_weights(data)),
        ("Local data", _local_data(data)),
    ]
    if data.test.temperature is None:
        texts.append(("Uncalibrated scores", "Scores rank the labels; they are not calibrated probabilities."))
    if not license_of(data):
        texts.append(
            (
                "License",
                "No license was given, and that of the pretrained weights is unknown: ask the publisher of the model.",
            )
        )
    texts.append(("Not measured", _not_measured(data)))
    return [(name, text) for name, text in texts if text]


def _same_source(data: CardData) -> str:
    held_out = data.dataset.splits["test"].kind is SplitKind.HELD_OUT
    source = " The dataset has no test split: the test images were held out from its train split." if held_out else ""
    return (
        f"Training and test images come from the same dataset.{source} Accuracy on images from other sources is likely "
        "to be lower."
    )


def _single_run(data: CardData) -> str:
    low, high = data.test.accuracy_ci95
    count = data.test.num_examples
    return (
        f"The accuracy comes from a single training run with one seed. Its 95% interval spans "
        f"{points(high - low, count, up=True)} points on {count:,} test images: smaller differences between models are "
        "not meaningful."
    )


def _over_seeds(data: CardData) -> str:
    seeds = data.metrics.seeds
    assert seeds is not None
    low, high = data.test.accuracy_ci95
    count = data.test.num_examples
    made = "averages the weights of" if seeds.keeps_soup else "is one of"
    several = len(seeds.soup.seeds) if seeds.soup is not None and seeds.keeps_soup else len(seeds.rows)
    return (
        f"This model {made} {several} models that were trained with different seeds on the same images; how much those "
        "differ is under Results. Its own 95% interval, of the draw of the test images, spans "
        f"{points(high - low, count, up=True)} points."
    )


def _no_gain(data: CardData) -> str | None:
    if not data.is_lpft:
        return None
    if data.stage.train.chosen.is_start:
        return "No epoch of fine-tuning was better on validation: this model predicts exactly as its linear probe does."
    if data.stage.train.chosen.interpolation == 0:
        return (
            "Weight interpolation selected the probe's weights: this model predicts exactly as its linear probe does."
        )
    before, after = (stage.metrics.test for stage in data.stages)
    if after.accuracy > before.accuracy:
        return None
    was, now = (percent(test.accuracy, test.num_examples) for test in (before, after))
    return f"The linear probe that fine-tuning started from reaches {was} on the same test images, this model {now}."


def _class_frequencies(data: CardData) -> str | None:
    """Return what to know of a model whose classes had training images in unequal numbers."""
    counts = [count for count in (data.dataset.train_per_class or {}).values() if count]
    if not counts or max(counts) <= IMBALANCED * min(counts):
        return None
    seen = f"The largest class has {max(counts):,} training images, the smallest {min(counts):,}."
    if data.stage.train.balancing.is_on:
        return (
            f"{seen} Training made up for that: scores are those of classes that are equally frequent, and where they "
            "are not, frequent classes are predicted too rarely and the scores are not calibrated."
        )
    return f"{seen} Nothing made up for that: rare classes are predicted too rarely where they are not rare."


def _weakest_classes(data: CardData) -> str | None:
    entries = [(name, item) for name, item in data.test.per_class.items() if item.num_examples]
    entries = sorted(entries, key=lambda entry: (entry[1].f1, entry[0]))
    confused: dict[str, str] = {}
    for pair in data.test.confused_pairs:
        if pair.count:
            confused.setdefault(pair.label, pair.prediction)
    words = []
    for name, item in entries[: NUM_WEAK_CLASSES if len(entries) > NUM_WEAK_CLASSES else 1]:
        wrong = f", most often predicted as {plain(confused[name])}" if name in confused else ""
        words.append(f"{plain(name)} (F1 {percent(item.f1)}{wrong})")
    return f"{listed(words)}; macro F1 is {percent(data.test.f1_macro)}." if words else None


def _low_resolution(data: CardData) -> str | None:
    sizes = data.image_sizes
    if not sizes or max(max(size) for size in sizes) > SMALL:
        return None
    width, height = sizes[-1]
    shape = f"{width}x{height} pixels" if len(sizes) == 1 else f"up to {width}x{height} pixels in the examples"
    size = input_size(data.processor)
    upscaled = f" and are upscaled to {size[1]}x{size[0]}" if size and size[0] > height else ""
    return (
        f"The dataset's images are small ({shape}){upscaled}. Large photographs and scenes with several objects look "
        "different from them once downscaled."
    )


def _label_noise(data: CardData) -> str | None:
    count, doubtful = data.test.num_examples, data.num_label_errors
    words = []
    if doubtful:
        words.append(
            f"{doubtful:,} of the {count:,} test labels ({percent(doubtful / count, count)}) look doubtful to this "
            f"model, whose own accuracy is {percent(data.test.accuracy, count)}: some may be wrong, others belong to "
            "images that are merely hard."
        )
    if data.is_cifar10:
        words.append(
            "Of CIFAR-10's 10,000 test labels, 54 (0.54%) are known to be wrong "
            "([labelerrors.com](https://labelerrors.com)): differences above 99.46% accuracy mean little."
        )
    return " ".join(words) or None


def _pretrained_weights(data: CardData) -> str | None:
    if data.stage.weights.is_random:
        return "Nothing was pretrained: expect it to be weaker than a model that starts from pretrained weights."
    if data.has_bundled_base:
        return (
            "The small backbone (0.7 million parameters) was pretrained on Tiny-ImageNet-200 only (26.47% top-1): its "
            "features are much weaker than those of ImageNet weights. Use it for demonstrations."
        )
    if data.metrics.base_model is None:
        return (
            f"They were a local file ({code(data.stage.weights.name)}) of unknown training data: their license, and "
            "an overlap of that data with this test set, are unknown."
        )
    return None


def _local_data(data: CardData) -> str | None:
    if data.dataset.kind != "folder":
        return None
    copy = " Whether it is a bit-exact copy of CIFAR-10 was not checked." if data.is_cifar10 else ""
    return f"The images came from a local folder: the results cannot be reproduced without it.{copy}"


def _not_measured(data: CardData) -> str:
    """Return what a reader may want to know and this run does not say."""
    metrics = data.metrics
    open_questions = {
        "accuracy on images from other sources": True,
        "robustness to noise, blur and other corruptions": metrics.robustness is None,
        "how well images of none of the classes are recognised": metrics.ood is None,
        "variation across seeds": metrics.seeds is None,
        "variation with other training images": metrics.seeds is not None,
        "near-duplicates between training and test images": metrics.without_leaks is None,
        "biases of the dataset": True,
        "speed of predictions": metrics.formats is None,
    }
    text = listed([question for question, is_open in open_questions.items() if is_open])
    return f"{text[0].upper()}{text[1:]}."

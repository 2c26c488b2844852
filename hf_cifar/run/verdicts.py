"""Judge what a stage has come to: what a reader of its accuracy must know, each in one line.

The one place that decides it, for the terminal and the report alike; it needs no more than the metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hf_cifar.run.against_probe import AgainstProbe
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.formatting import counted, listed, percent, points, signed_interval

LARGE_ERROR = 0.025  # standard error of an accuracy, from which a split is called small: a 95% interval of 5 points
Z_95 = 1.96  # standard errors that half a 95% interval is wide
# Label errors in test sets of the field were found to be 0.15 to 10.1 % (Northcutt, Athalye and Mueller, 2021): who
# doubts more than twice the most of that is more likely wrong about the images.
MOST_DOUBTED = 0.2
HIGH_ACCURACY = 0.5  # from which a class that is never recognised is a surprise
FEW_IMAGES = 5  # of a class, below which its recall says nothing
NAMED = 3  # classes that a line names at most


class Verdict(Enum):
    """What can be found about a result."""

    BELOW_PROBE = "below_probe"
    CHANCE = "chance"
    MAJORITY = "majority"
    SMALL_TEST = "small_test"
    SMALL_VALIDATION = "small_validation"
    HIDDEN_CLASSES = "hidden_classes"
    COPIES = "copies"
    WEAK_DOUBTS = "weak_doubts"


@dataclass(frozen=True)
class Finding:
    """One thing that a reader must know.

    Attributes:
        verdict: what it is.
        text: in one line, with what to do about it where something can be done.
    """

    verdict: Verdict
    text: str


def findings(metrics: StageMetrics) -> list[Finding]:
    """Return what is to be said of a stage, the most important first; nothing where all is well."""
    found = [
        (Verdict.BELOW_PROBE, _below_probe(metrics)),
        (Verdict.CHANCE, _chance(metrics.test)),
        (Verdict.MAJORITY, _majority(metrics.test)),
        (Verdict.SMALL_TEST, _small_test(metrics)),
        (Verdict.SMALL_VALIDATION, _small_validation(metrics)),
        (Verdict.HIDDEN_CLASSES, _hidden_classes(metrics.test)),
        (Verdict.COPIES, _copies(metrics)),
        (Verdict.WEAK_DOUBTS, _weak_doubts(metrics.test)),
    ]
    return [Finding(verdict, text) for verdict, text in found if text is not None]


def doubts_too_many(num_doubted: int, num_examples: int) -> bool:
    """Return whether a model contradicts so many labels that the doubt falls on the model."""
    return num_doubted > MOST_DOUBTED * num_examples


def describe_weak_doubts(num_doubted: int, num_examples: int, judge: str) -> str:
    """Return why no label is called doubtful.

    Args:
        num_doubted: images whose label is contradicted.
        num_examples: of how many.
        judge: what contradicts them, such as "the model".
    """
    return (
        f"no label errors are suspected: {judge} contradicts {num_doubted:,} of {num_examples:,} labels, more than can "
        "be expected to be wrong"
    )


def standard_error(split: SplitMetrics) -> float:
    """Return the standard error of an accuracy, from its Wilson interval: unlike Wald's it is not 0 at 100 %."""
    low, high = split.accuracy_ci95
    return (high - low) / (2 * Z_95)


def describe_difference(against: AgainstProbe) -> str:
    """Return a difference with its interval: `+2.50 points (95% interval +0.61 to +4.39, paired)`."""
    low, high = signed_interval(against.difference_ci95)
    return f"{100 * against.difference:+.2f} points (95% interval {low} to {high}, paired)"


def describe_copies(copies: Mapping[str, tuple[int, int]]) -> str | None:
    """Return which splits hold copies of training images, whose accuracy then says little; None where none does.

    Args:
        copies: split -> its images that are copies, and all of its images.
    """
    found = [f"{count:,} of {total:,} {name} images" for name, (count, total) in copies.items() if count]
    if not found:
        return None
    return (
        f"{' and '.join(found)} are copies of training images, byte for byte, which a model can know by heart: "
        "--stage audit lists them, and --exclude-leaks measures without them"
    )


def _below_probe(metrics: StageMetrics) -> str | None:
    against = metrics.against_probe
    if against is None or not against.is_below:
        return None
    count = metrics.test.num_examples
    return (
        f"fine-tuning lost accuracy: {percent(metrics.test.accuracy, count)} after the "
        f"{percent(against.probe_accuracy, count)} of its probe, {describe_difference(against)}: use the probe, or try "
        "a lower --learning-rate"
    )


def _chance(split: SplitMetrics) -> str | None:
    chance = 1 / len(split.per_class)
    if not _reaches(split, chance):
        return None
    return (
        f"not shown to be better than chance: a guess among {len(split.per_class):,} classes is right in "
        f"{percent(chance)} of cases, and the interval of the accuracy begins at {percent(split.accuracy_ci95[0])}"
    )


def _majority(split: SplitMetrics) -> str | None:
    if not split.num_examples or _chance(split) is not None:  # whoever is no better than chance is no better than this
        return None
    name, largest = max(split.per_class.items(), key=lambda item: item[1].num_examples)
    share = largest.num_examples / split.num_examples
    if not _reaches(split, share):
        return None
    shown = percent(share, split.num_examples)
    return (
        f'not shown to be better than always answering "{name}", which is right for {shown} of these images: the '
        f"interval of the accuracy begins at {percent(split.accuracy_ci95[0])}"
    )


def _reaches(split: SplitMetrics, level: float) -> bool:
    """Return whether an accuracy is not known to be above a level; never of no images."""
    return split.num_examples > 0 and split.accuracy_ci95[0] <= level


def _small_test(metrics: StageMetrics) -> str | None:
    split = metrics.test
    if standard_error(split) <= LARGE_ERROR:
        return None
    return (
        f"only {_images(split.num_examples, metrics.split)}: the standard error of the accuracy is "
        f"{points(standard_error(split), decimals=1, up=True)} points, and smaller differences between models mean "
        "nothing; measure on more"
    )


def _small_validation(metrics: StageMetrics) -> str | None:
    split, chosen = metrics.validation, metrics.train.chosen if metrics.train is not None else None
    if split is None or chosen is None or chosen.candidates == 1 or standard_error(split) <= LARGE_ERROR:
        return None
    close = ""
    if chosen.candidates and chosen.close and chosen.close > 1:
        close = f", and {chosen.close} of {chosen.candidates} heads were within one image of the best"
    return (
        f"only {_images(split.num_examples, 'validation')} to choose by: the standard error of their accuracy is "
        f"{points(standard_error(split), decimals=1, up=True)} points{close}; give more images or a larger "
        "--val-fraction, or look at the spread with --seeds 0,1,2"
    )


def _images(count: int, split: str) -> str:
    return counted(count, f"{split} image")


def _hidden_classes(split: SplitMetrics) -> str | None:
    if split.accuracy < HIGH_ACCURACY:
        return None
    missed = {name: one.num_examples for name, one in split.per_class.items() if one.num_examples and not one.recall}
    rare = {}
    if split.is_imbalanced:
        rare = {name: one.num_examples for name, one in split.per_class.items() if 0 < one.num_examples < FEW_IMAGES}
    rare = {name: count for name, count in rare.items() if name not in missed}
    words = []
    if missed:
        words.append(f"no image of {_named(missed)} is classified correctly")
    if rare:
        words.append(f"too few images to judge {_named(rare)}")
    if not words:
        return None
    return (
        f"the accuracy hides weak classes: {'; '.join(words)}; balanced accuracy is "
        f"{percent(split.balanced_accuracy, split.num_examples)}"
    )


def _named(classes: dict[str, int]) -> str:
    """Return classes with their numbers of images, the largest first: `frog (7 images), cat (1 image) and 2 more`."""
    ordered = sorted(classes.items(), key=lambda item: -item[1])
    return listed([f"{name} ({counted(count, 'image')})" for name, count in ordered], NAMED)


def _copies(metrics: StageMetrics) -> str | None:
    if metrics.split == "train":
        return None
    data = metrics.dataset
    return describe_copies(
        {
            "validation": (data.num_validation_copies or 0, data.num_validation or 0),
            metrics.split: (data.num_trained_on or 0, metrics.test.num_examples),
        }
    )


def _weak_doubts(split: SplitMetrics) -> str | None:
    doubted = split.num_doubted
    if doubted is None or not doubts_too_many(doubted, split.num_examples):
        return None
    return describe_weak_doubts(doubted, split.num_examples, "the model")

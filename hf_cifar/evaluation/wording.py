"""Sentences and names of the report, from typed metrics."""

from hf_cifar.evaluation.calibration import mean_confidence
from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.ood_neighbours import NEIGHBOURS
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.run.stage_metrics import Robustness, StageMetrics
from hf_cifar.run.train_summary import Augmentation, Balancing, Chosen
from hf_cifar.utils.formatting import error, listed, number, percent

STAGES = {"probe": "Linear probe", "finetune": "Fine-tuning", "evaluate": "Evaluation"}
CALIBRATED_WITHIN = 0.005  # of confidence and accuracy: a smaller gap is called well calibrated
METRIC_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1", "nll": "NLL"}
F1_MACRO, F1_MACRO_PRESENT = "macro F1", "macro F1 over classes with images"


def describe_selection(metrics: StageMetrics) -> str | None:
    """Return what the test split was used for; None for an evaluation, which selects nothing."""
    if metrics.validation is None:
        return None
    return "Model selection used the validation split only; the test split was evaluated once, at the end."


def macro_f1(split: SplitMetrics) -> list[tuple[str, str]]:
    """Return name and value of macro F1; of both kinds where they differ."""
    values = [(F1_MACRO, percent(split.f1_macro))]
    if differs(split):
        values.append((F1_MACRO_PRESENT, percent(split.f1_macro_present)))
    return values


def differs(split: SplitMetrics) -> bool:
    """Return whether the two kinds of macro F1 differ: a class without images was predicted."""
    return abs(split.f1_macro - split.f1_macro_present) > 1e-9


def describe_macro_f1(split: SplitMetrics) -> str | None:
    """Return why there are two macro F1; None where they agree."""
    if not differs(split):
        return None
    missing = sum(1 for metrics in split.per_class.values() if not metrics.num_examples)
    return (
        f"{missing:,} of {len(split.per_class):,} classes have no images in this split. Macro F1 is scikit-learn's: a "
        f"class without images that is predicted counts as 0. Over the classes with images it is "
        f"{percent(split.f1_macro_present)}."
    )


def describe_calibration(split: SplitMetrics) -> list[str]:
    """Return how well the model is calibrated, before and after temperature scaling."""
    sentences = []
    confidence = mean_confidence(split.reliability)
    if confidence is not None:
        sentences.append(
            f"The model is {_calibration_verdict(confidence, split.accuracy)}: its mean confidence is "
            f"{percent(confidence)}, its accuracy {percent(split.accuracy, split.num_examples)}. The expected "
            f"calibration error (ECE), the mean gap between the two over {len(split.reliability)} bins, is "
            f"{error(split.ece)}."
        )
    if split.temperature is None:
        return [
            *sentences,
            "No temperature is available for this model: fitting one takes validation images that it gets right, and "
            "some that it gets wrong.",
        ]
    sentences.append(
        f"Temperature scaling with {split.temperature:.3f}, fitted on the validation split, changes the ECE to "
        f"{error(split.ece_calibrated)} and the negative log-likelihood from {error(split.nll)} to "
        f"{error(split.nll_calibrated)} nats; predictions stay the same. The temperature is stored in the "
        "config.json of the saved model (calibration_temperature) and is not applied by default."
    )
    return sentences


def describe_prediction_sets(metrics: StageMetrics) -> list[str]:
    """Return how often prediction sets hold the right label, and how large they are; nothing where there are none."""
    if not metrics.prediction_sets:
        return []
    levels = [
        f"{percent(item.coverage, item.num_examples)} in sets of {item.mean_size:.2f} labels on average where "
        f"{item.asked:.0%} was asked for"
        for item in metrics.prediction_sets
    ]
    return [
        "Prediction sets (split conformal prediction, RAPS) hold the right label as often as asked for on images like "
        f"those that calibrated them, the validation images; measured on {metrics.split}: {listed(levels)}. Validation "
        "chose the model too, so that what was measured is what counts. hf-cifar predict --coverage makes them."
    ]


def _calibration_verdict(confidence: float, accuracy: float) -> str:
    if abs(confidence - accuracy) <= CALIBRATED_WITHIN:
        return "well calibrated on average"
    return "overconfident" if confidence > accuracy else "underconfident"


def describe_corruptions(robustness: Robustness) -> str:
    """Return how accuracy changes on corrupted images."""
    num_severities = len(next(iter(robustness.corruptions.values())))
    return (
        f"{len(robustness.corruptions)} corruptions at {num_severities} severities, applied to "
        f"{robustness.num_examples:,} of the images: accuracy changes from "
        f"{percent(robustness.clean_accuracy, robustness.num_examples)} on clean images to "
        f"{percent(robustness.mean_corruption_accuracy)} on average on corrupted images. "
        "Not comparable with CIFAR-10-C, whose corruptions have other parameters."
    )


def describe_ood(ood: OodMetrics, split: str) -> list[str]:
    """Return what an out-of-distribution score says, how it was measured, and what its threshold keeps."""
    corrupted = sum(item.is_corruption for item in ood.compared)
    sentences = [
        f"The {ood.score} score is higher for images less like those of training. AUROC is the probability that it is "
        f"higher for an image of a row than for one of the {ood.num_examples:,} {split} images (0.5 for a guess); "
        f"FPR95 is the share of the row's images that are taken for {split} images where 95 % of those are. "
        f"{corrupted} corruptions at severity {ood.severity}, applied to the same images."
    ]
    if ood.num_features is not None:
        sentences.append(
            f"It is the distance of an image's features, of length one, to the {NEIGHBOURS}th nearest of "
            f"{ood.num_features:,} training images."
        )
    if ood.threshold is not None:
        sentences.append(
            f"The threshold beside the model, {ood.threshold:.4g}, keeps 95 % of the validation images, and "
            f"{percent(ood.kept, ood.num_examples)} of the {split} images. --stage predict --ood-score {ood.score} "
            "calls what is above it out of distribution."
        )
    return sentences


def describe_augmentation(augmentation: Augmentation) -> str:
    """Return a policy of augmentation: `standard, random erasing 0.1, MixUp 0.2`."""
    extras = {
        "random erasing": augmentation.random_erasing,
        "MixUp": augmentation.mixup,
        "CutMix": augmentation.cutmix,
    }
    return ", ".join([augmentation.augment, *(f"{name} {value:g}" for name, value in extras.items() if value)])


def describe_balancing(balancing: Balancing) -> str | None:
    """Return what was done about classes of unequal size: `class weights balanced`; None for nothing."""
    words = []
    if balancing.class_weights != "none":
        beta = f" (beta {balancing.effective_beta:g})" if balancing.effective_beta is not None else ""
        words.append(f"class weights {balancing.class_weights}{beta}")
    if balancing.logit_adjustment:
        words.append(f"logit adjustment {balancing.logit_adjustment:g}")
    if balancing.balanced_sampling:
        words.append("balanced sampling")
    return ", ".join(words) or None


def describe_chosen(chosen: Chosen, num_validation: int = 0) -> str | None:
    """Return what was selected on validation: `epoch 8 (step 168), validation accuracy 98.61%`; None if nothing was.

    Args:
        chosen: what was selected.
        num_validation: images of the validation split.
    """
    parts = []
    if chosen.is_start:
        parts.append("the start itself, as no epoch was as good on validation")
    elif chosen.epoch is not None:
        parts.append(f"epoch {chosen.epoch:g}" + (f" (step {chosen.step:,})" if chosen.step is not None else ""))
    if chosen.learning_rate is not None:
        parts.append(f"learning rate {chosen.learning_rate:g}")
    if chosen.strength is not None:
        parts.append(f"L2 strength {chosen.strength:g}")
    if chosen.interpolation is not None:
        parts.append(f"interpolation {chosen.interpolation:g}")
    if chosen.metric is not None and chosen.value is not None:
        value = error(chosen.value) if chosen.metric == "nll" else percent(chosen.value, num_validation)
        parts.append(f"validation {METRIC_NAMES.get(chosen.metric, chosen.metric)} {value}")
    return ", ".join(parts) or None


def describe_images_read(images_through_backbone: dict[str, int]) -> str | None:
    """Return how many images went through the backbone; None if all features were cached."""
    return listed([f"{number(count)} of {split}" for split, count in images_through_backbone.items() if count]) or None

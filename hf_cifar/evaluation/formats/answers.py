"""What the forms of a model answer to the same images, and how far that is from the native model's answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import in_order
from hf_cifar.data.transforms import Transform
from hf_cifar.evaluation.calibration import expected_calibration_error
from hf_cifar.evaluation.comparison.mcnemar import mcnemar
from hf_cifar.formats.runtime import Runtime
from hf_cifar.utils.logits import log_probabilities
from hf_cifar.utils.progress import progress

BATCH_SIZE = 64  # as of the evaluation


@dataclass(frozen=True)
class Answers:
    """One form's answers, compared with the native ones. Fractions.

    Attributes:
        accuracy, ece: of the form.
        largest_logit_difference, largest_score_difference: over all images and labels; infinite where a logit is not
            finite.
        changed_answers: images whose best label is another one.
        p_value: of McNemar's exact test.
    """

    accuracy: float
    ece: float
    largest_logit_difference: float
    largest_score_difference: float
    changed_answers: int
    p_value: float


def all_logits(runtimes: Mapping[str, Runtime], images: LabeledImages, processor: Any) -> dict[str, np.ndarray]:
    """Compute the logits of every image by every form: each image is decoded once, and each form gets the same pixels.

    Args:
        runtimes: the forms.
        images: any number of them; a batch at a time is in memory.
        processor: the image processor that is saved with the model.

    Returns:
        For each form float32 [n, labels].

    Raises:
        CorruptImageError: an image cannot be read.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in runtimes}
    with progress(None, "measuring formats", "image", total=len(images)) as bar:
        for batch in in_order(images, Transform(processor), BATCH_SIZE, workers=0):
            pixels = batch.numpy()
            for name, runtime in runtimes.items():
                found[name].append(runtime.logits(pixels))
            bar.update(len(pixels))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def compare_answers(logits: np.ndarray, native: np.ndarray, labels: np.ndarray) -> Answers:
    """Compare the answers of a form with those of the native model.

    Args:
        logits, native: float [n, labels], of the form and of the native model.
        labels: int [n], the true ones.
    """
    finite = bool(np.isfinite(logits).all())
    used = logits if finite else np.nan_to_num(logits)
    scores, native_scores = np.exp(log_probabilities(used)), np.exp(log_probabilities(native))
    answers, native_answers = used.argmax(axis=1), native.argmax(axis=1)
    return Answers(
        accuracy=float((answers == labels).mean()),
        ece=expected_calibration_error(scores, labels),
        largest_logit_difference=float(np.abs(logits - native).max()) if finite else float("inf"),
        largest_score_difference=float(np.abs(scores - native_scores).max()) if finite else float("inf"),
        changed_answers=int((answers != native_answers).sum()),
        p_value=mcnemar(native_answers == labels, answers == labels).p_value,
    )

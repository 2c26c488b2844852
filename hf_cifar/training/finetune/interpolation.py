"""Weights between the probe and the fine-tuned model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.models.predict import predict_logits
from hf_cifar.models.weights import put_weights
from hf_cifar.training.selection import best_of, score

STRENGTHS = tuple(round(0.1 * number, 1) for number in range(11))
Weights = dict[str, torch.Tensor]


def interpolate(start: Weights, end: Weights, strength: float) -> Weights:
    """Weights and running statistics `(1 - strength) * start + strength * end`, as in WiSE-FT (Wortsman et al., 2022).

    Args:
        start, end: state dicts of one architecture; what is not a floating-point number is taken from `end`.
        strength: 0 gives `start` and 1 gives `end`, bit for bit.
    """
    return {
        name: torch.lerp(start[name].to(value), value, strength) if value.is_floating_point() else value
        for name, value in end.items()
    }


def choose_strength(
    model: PreTrainedModel,
    processor: Any,
    start: Weights,
    end: Weights,
    validation: LabeledImages,
    say: Callable[[str], None],
) -> float:
    """The strength that is most accurate on validation; of equal ones, that of the lowest cross-entropy.

    Args:
        model: takes the weights of each strength in turn, and is left with those of the last.
        processor: of the images.
        start, end: as `interpolate` takes them.
        validation: never the test split.
        say: told each strength's accuracy.

    Raises:
        ValueError: the images are those of the test split.
    """
    validation.refuse_test("the interpolation strength")
    scores: list[tuple[float, float]] = []
    for strength in STRENGTHS:
        put_weights(model, interpolate(start, end, strength))
        logits: np.ndarray = predict_logits(model, processor, validation, f"interpolation {strength:g}")
        scores.append(score(logits, validation.targets))
    best = best_of(scores)
    for place, strength in enumerate(STRENGTHS):
        say(f"interpolation {strength:g}  validation accuracy {scores[place][0]:.2%}{'  <- kept' * (place == best)}")
    return STRENGTHS[best]

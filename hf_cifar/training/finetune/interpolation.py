"""Interpolate between the weights of the start and the fine-tuned ones."""

from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.models.predict import predict_logits
from hf_cifar.models.weights import put_weights
from hf_cifar.training.finetune.snapshot import Weights
from hf_cifar.training.selection import Score, best_of, score
from hf_cifar.utils.progress import say

STRENGTHS = tuple(round(0.1 * tenths, 1) for tenths in range(11))


def interpolate(start: Weights, end: Weights, strength: float) -> Weights:
    """Return `(1 - strength) * start + strength * end`, running statistics included (WiSE-FT; Wortsman et al., 2022).

    Args:
        start, end: state dicts of one architecture; tensors that are not floating-point are taken from `end`.
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
    metric: str = "accuracy",
) -> float:
    """Return the strength that is best on validation; among equal ones, the one with the lowest cross-entropy.

    Args:
        model: loads the weights of each strength in turn, and is left with those of the last.
        processor: image processor of the model.
        start, end: as in `interpolate`.
        validation: never the test split.
        metric: of `--selection-metric`.

    Raises:
        ValueError: the images are those of the test split.
    """
    validation.refuse_test("the interpolation strength")
    scores: list[Score] = []
    for strength in STRENGTHS:
        put_weights(model, interpolate(start, end, strength))
        logits: np.ndarray = predict_logits(model, processor, validation, f"interpolation {strength:g}")
        scores.append(score(logits, validation.targets))
    best = best_of(scores, metric)
    for index, strength in enumerate(STRENGTHS):
        value = f"{scores[index].nll:.4f} nats" if metric == "nll" else f"{scores[index].by(metric):.2%}"
        name = metric.replace("_", " ")
        say(f"interpolation {strength:g}  validation {name} {value}{'  <- kept' * (index == best)}")
    return STRENGTHS[best]

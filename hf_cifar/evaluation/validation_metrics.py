"""The metrics that `Trainer` computes on validation after every epoch of fine-tuning."""

import numpy as np
from transformers import EvalPrediction

from hf_cifar.evaluation.scores import accuracy, macro_f1
from hf_cifar.utils.logits import negative_log_likelihoods


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compute accuracy, macro F1 and mean cross-entropy in nats; made to be `compute_metrics` of a `Trainer`.

    Args:
        prediction: logits, float [n, labels], and labels, int64 [n].

    Returns:
        `accuracy`, `f1_macro` and `nll`, which is infinite for logits that are not finite.
    """
    logits, labels = prediction.predictions, prediction.label_ids
    assert not isinstance(logits, tuple) and not isinstance(labels, tuple)
    predictions = logits.argmax(axis=1)
    nll = float("inf")
    if np.isfinite(logits).all():
        nll = float(negative_log_likelihoods(logits, labels).mean())
    return {
        "accuracy": accuracy(labels, predictions),
        "f1_macro": macro_f1(labels, predictions, range(logits.shape[1])),
        "nll": nll,
    }

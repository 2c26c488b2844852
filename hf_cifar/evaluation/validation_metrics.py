"""The metrics that `Trainer` computes on validation after every epoch of fine-tuning."""

import numpy as np
from transformers import EvalPrediction

from hf_cifar.utils.logits import negative_log_likelihoods


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compute the selection metrics; made to be `compute_metrics` of a `Trainer`.

    Args:
        prediction: logits, float [n, labels], and labels, int64 [n].

    Returns:
        `accuracy`, `balanced_accuracy`, `f1_macro`, and `nll` in nats, infinite for logits that are not finite.
    """
    # With scikit-learn and scipy.stats two seconds: not before there is something to measure.
    from hf_cifar.evaluation.metrics import Accuracy, BalancedAccuracy, MacroF1, measured

    logits, labels = prediction.predictions, prediction.label_ids
    assert not isinstance(logits, tuple) and not isinstance(labels, tuple)
    answers = {"predictions": logits.argmax(axis=1), "references": labels}
    nll = float("inf")
    if np.isfinite(logits).all():
        nll = float(negative_log_likelihoods(logits, labels).mean())
    return {
        **measured(Accuracy, **answers),
        **measured(BalancedAccuracy, **answers),
        **measured(MacroF1, **answers, num_labels=logits.shape[1]),
        "nll": nll,
    }

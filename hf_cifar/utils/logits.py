"""Probabilities of logits."""

import numpy as np


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis, in the type of the logits, as `pipeline` computes it."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the logistic function of each logit, in the type of the logits."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64))).astype(logits.dtype)


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the log-softmax over the last axis, float64 [n, labels] whatever the network computed in."""
    import scipy.special  # not there on a machine that only predicts

    return np.asarray(scipy.special.log_softmax(logits.astype(np.float64), axis=-1))


def negative_log_likelihoods(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image in nats, float64 [n].

    Args:
        logits: float [n, labels].
        labels: int [n].
    """
    return np.asarray(-log_probabilities(logits)[np.arange(len(labels)), labels])

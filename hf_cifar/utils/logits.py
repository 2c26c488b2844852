"""Probabilities of logits, in float64 whatever the network computed in."""

import numpy as np
import scipy.special


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the log-softmax over the last axis, float64 [n, labels]."""
    return np.asarray(scipy.special.log_softmax(logits.astype(np.float64), axis=-1))


def negative_log_likelihoods(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image in nats, float64 [n].

    Args:
        logits: float [n, labels].
        labels: int [n].
    """
    return np.asarray(-log_probabilities(logits)[np.arange(len(labels)), labels])

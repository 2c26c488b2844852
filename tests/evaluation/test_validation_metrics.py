"""The metrics of validation against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss
from transformers import EvalPrediction

from hf_cifar.evaluation.validation_metrics import validation_metrics


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 4, 50)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = validation_metrics(EvalPrediction(logits, labels))
    assert found["accuracy"] == accuracy_score(labels, logits.argmax(1))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, logits.argmax(1)))
    assert found["f1_macro"] == pytest.approx(f1_score(labels, logits.argmax(1), average="macro"))
    assert found["nll"] == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    logits[3, 1] = np.nan
    assert validation_metrics(EvalPrediction(logits, labels))["nll"] == np.inf

"""Calibration against a fit by torch's own optimiser, and numbers worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from hf_cifar.evaluation.calibration import (
    calibration_error,
    expected_calibration_error,
    fit_temperature,
    mean_confidence,
    reliability,
)


def overconfident(count: int = 4000, factor: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `factor` times those that the labels were drawn from: the true temperature is the factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 5))
    labels = np.array([rng.choice(5, p=row) for row in softmax(logits, axis=1)])
    return (logits * factor).astype(np.float32), labels


def test_temperature_is_what_gradient_descent_finds():
    logits, labels = overconfident()
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_t], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        scaled = torch.from_numpy(logits).double() / log_t.exp()
        loss = torch.nn.functional.cross_entropy(scaled, torch.from_numpy(labels))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits, labels) == pytest.approx(log_t.detach().exp().item(), rel=1e-3)
    assert fit_temperature(logits, labels) == pytest.approx(3.0, rel=0.1), "what the labels were drawn with"


def test_no_temperature_where_the_likelihood_has_no_maximum():
    assert fit_temperature(np.eye(3, dtype=np.float32) * 4, np.arange(3)) is None, (
        "all correct: more confidence always helps"
    )
    assert fit_temperature(np.eye(3, dtype=np.float32) * 4, np.array([1, 2, 0])) is None, "all wrong: less always helps"
    assert fit_temperature(np.zeros((6, 3), dtype=np.float32), np.arange(6) % 3) is None, "ties: no effect"


def test_temperature_scaling_improves_calibration_on_other_images():
    logits, labels = overconfident()
    temperature = fit_temperature(logits[:2000], labels[:2000])
    before = expected_calibration_error(softmax(logits[2000:], axis=1), labels[2000:])
    after = expected_calibration_error(softmax(logits[2000:] / temperature, axis=1), labels[2000:])
    assert before > 0.2 and after < 0.05


def test_calibration_error_by_hand():
    """Two bins are used: 0.95 with 1 of 2 correct, 0.55 with 1 of 1 correct: (2 * |0.95 - 0.5| + |0.55 - 1|) / 3."""
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45]])
    assert expected_calibration_error(probabilities, np.array([0, 1, 0])) == pytest.approx((2 * 0.45 + 0.45) / 3)


def test_certainty_that_is_correct_has_no_calibration_error():
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0.0


def test_bins_hold_every_image_once_and_an_edge_belongs_below():
    probabilities = np.array([[0.6, 0.4], [1.0, 0.0], [0.61, 0.39], [0.5, 0.5]])
    rows = reliability(probabilities, np.array([0, 0, 1, 0]), bins=5)
    assert [row.count for row in rows] == [0, 0, 2, 1, 1]
    assert rows[2].confidence == pytest.approx(0.55) and rows[2].accuracy == 1.0
    assert rows[3].accuracy == 0.0 and rows[0].confidence is None and rows[0].accuracy is None
    assert [row.low for row in rows] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_mean_confidence_and_error_of_bins_are_those_of_the_images():
    logits, labels = overconfident(500)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    bins = reliability(probabilities, labels)
    assert mean_confidence(bins) == pytest.approx(probabilities.max(axis=1).mean())
    assert calibration_error(bins) == expected_calibration_error(probabilities, labels)
    assert mean_confidence([]) is None

"""Placement of labels: against a general optimiser."""

import numpy as np
from scipy.optimize import minimize

from hf_cifar.evaluation.figures.labels import spread


def test_labels_move_as_little_as_possible():
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 9):
        positions = np.sort(rng.random(count))
        moved = np.array(spread(positions.tolist(), 0.1))
        assert (np.diff(moved) >= 0.1 - 1e-9).all()
        gaps = [{"type": "ineq", "fun": lambda x, at=at: x[at + 1] - x[at] - 0.1} for at in range(count - 1)]
        best = minimize(lambda x, positions=positions: ((x - positions) ** 2).sum(), moved, constraints=gaps)
        assert ((moved - positions) ** 2).sum() <= best.fun + 1e-6
    assert spread([], 0.1) == []


def test_labels_that_are_far_apart_stay():
    assert spread([0.1, 0.5, 0.9], 0.2) == [0.1, 0.5, 0.9]

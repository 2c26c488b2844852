"""Prediction sets against cases computed by hand, and against their promise."""

import json

import numpy as np
import pytest

from hf_cifar.errors import InputError
from hf_cifar.run import prediction_sets
from hf_cifar.run.prediction_sets import SETS_FILE, PredictionSets

# Probabilities of three labels, as logits.
ROWS = np.log([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.35, 0.4], [0.5, 0.45, 0.05]])


def test_the_case_computed_by_hand():
    """Scores are the probabilities before the right label: 0, 0.6, 0.75, 0; the rank is ceil(5 coverage)."""
    sets = PredictionSets.calibrate(ROWS, np.array([0, 2, 0, 0]), None)
    assert sets.scores == pytest.approx((0, 0, 0.6, 0.75), abs=2e-6)
    assert [sets.threshold(level) for level in (0.2, 0.4, 0.41, 0.6, 0.8)] == pytest.approx(
        [0, 0, 0.6, 0.6, 0.75], abs=2e-6
    )
    assert sets.threshold(0.81) == float("inf")
    found = sets.of(ROWS, 0.6, None)
    assert [list(row) for row in found] == [[0], [1, 2], [2, 1], [0, 1]]
    assert [list(row) for row in sets.of(ROWS, 0.2, None)] == [[0], [1], [2], [0]], "never empty"
    assert [len(row) for row in sets.of(ROWS, 0.9, None)] == [3] * 4, "so few images promise no less"


def test_ranks_after_the_fifth_cost_more():
    logits = np.zeros((1, 8))
    sets = PredictionSets.calibrate(logits, np.array([7]), None)
    assert sets.scores == pytest.approx((7 / 8 + 0.03,), abs=2e-6)


def test_the_temperature_is_that_of_the_scores():
    """A head divided by the temperature makes the same sets of its own logits without one."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (50, 6)), rng.integers(0, 6, 50)
    sets = PredictionSets.calibrate(logits, labels, 2.5)
    folded = PredictionSets.calibrate(logits / 2.5, labels, None)
    assert sets == folded != PredictionSets.calibrate(logits, labels, None)
    pairs = zip(sets.of(logits, 0.8, 2.5), sets.of(logits / 2.5, 0.8, None), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def drawn(count, seed):
    """Logits of ten classes, and labels drawn by their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 10))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("most", [100, 10_000])
def test_coverage_is_what_was_asked_for_on_other_images(monkeypatch, most):
    monkeypatch.setattr(prediction_sets, "MOST_SCORES", most)
    sets = PredictionSets.calibrate(*drawn(4_000, 0), None)
    assert len(sets.scores) <= most + 1
    logits, labels = drawn(20_000, 1)
    found = sets.measure(logits, labels, None)
    for level in found:
        assert level.asked - 0.012 <= level.coverage <= level.asked + (0.012 if most > 100 else 0.03)
        assert 1 <= level.mean_size <= 10 and level.num_examples == 20_000
    assert [level.mean_size for level in found] == sorted(level.mean_size for level in found)


def test_a_thinned_list_never_promises_more_than_the_whole(monkeypatch):
    whole = PredictionSets.calibrate(*drawn(997, 2), None)
    monkeypatch.setattr(prediction_sets, "MOST_SCORES", 90)
    thinned = PredictionSets.calibrate(*drawn(997, 2), None)
    for level in np.linspace(0.01, 0.999, 300):
        assert thinned.threshold(level) >= whole.threshold(level)


def test_what_is_written_is_read_and_what_is_damaged_is_refused(tmp_path):
    sets = PredictionSets.calibrate(*drawn(300, 3), 1.3)
    sets.write(tmp_path)
    file = tmp_path / SETS_FILE
    assert PredictionSets.read(file) == sets
    values = json.loads(file.read_text())
    for changed in ({"penalty": 0.5}, {"scores": values["scores"][::-1]}, {"scores": ["x"]}, {"stride": 0}):
        file.write_text(json.dumps({**values, **changed}))
        with pytest.raises(InputError, match=SETS_FILE):
            PredictionSets.read(file)
    file.write_text("{}")
    with pytest.raises(InputError, match="cannot be read"):
        PredictionSets.read(file)


def test_rounding_leaves_no_calibration_image_out():
    logits, labels = drawn(300, 4)
    sets = PredictionSets.calibrate(logits, labels, None)
    for level in (0.8, 0.9, 0.95):
        held = sum(label in row for row, label in zip(sets.of(logits, level, None), labels, strict=True))
        assert held >= np.ceil(301 * level - 1e-9)

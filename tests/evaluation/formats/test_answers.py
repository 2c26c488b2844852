"""Forms beside the native model: numbers against plain computation, the limits, the times, what a stage recorded."""

import re
import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest

from hf_cifar.evaluation.compute_metrics import save_predictions
from hf_cifar.evaluation.formats import latency
from hf_cifar.evaluation.formats.answers import Answers, compare_answers
from hf_cifar.evaluation.formats.limits import find_fault
from hf_cifar.evaluation.formats.recorded import difference_from_recorded

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 300)
NATIVE = RNG.normal(0, 1, (300, 4)).astype(np.float32) + 2 * np.eye(4, dtype=np.float32)[LABELS]


def test_the_numbers_of_a_form_are_those_of_plain_computation():
    other = NATIVE + RNG.normal(0, 0.7, NATIVE.shape).astype(np.float32)
    found = compare_answers(other, NATIVE, LABELS)
    right, was_right = other.argmax(1) == LABELS, NATIVE.argmax(1) == LABELS
    assert found.accuracy == right.mean()
    assert found.changed_answers == sum(a.argmax() != b.argmax() for a, b in zip(other, NATIVE, strict=True)) > 0
    assert found.largest_logit_difference == pytest.approx(np.abs(other - NATIVE).max())
    assert found.largest_score_difference == pytest.approx(
        np.abs(softmax(other.astype(float), axis=1) - softmax(NATIVE.astype(float), axis=1)).max()
    )
    lost, won = (was_right & ~right).sum(), (right & ~was_right).sum()
    assert found.p_value == pytest.approx(binomtest(int(lost), int(lost + won)).pvalue)


def test_the_native_model_beside_itself():
    found = compare_answers(NATIVE, NATIVE, LABELS)
    assert (found.changed_answers, found.largest_logit_difference, found.p_value) == (0, 0.0, 1.0)


def answers(accuracy=0.8, difference=0.5, p_value=1.0) -> Answers:
    return Answers(accuracy, 0.1, difference, 0.1, 7, p_value)


@pytest.mark.parametrize(
    ("found", "drop", "largest", "fault"),
    [
        (answers(), 0.5, None, None),
        (answers(accuracy=0.795), 0.5, None, None),
        (answers(accuracy=0.7949), 0.5, None, "it loses 0.51 points of accuracy, more than the 0.5"),
        (answers(accuracy=0.5, p_value=0.2), 30, None, None),
        (answers(p_value=0.0499), 100, None, "its answers differ significantly: 7 of 1,000 changed"),
        (answers(accuracy=0.9, p_value=0.01), 100, None, r"accuracy \+10.00 points, McNemar p = 0.0100"),
        (answers(difference=0.011), 0.5, 10.0, "its logits differ by 0.011, where the largest is 10"),
        (answers(difference=0.009), 0.5, 10.0, None),
        (answers(difference=float("inf")), 100, None, "not finite"),
    ],
)
def test_what_a_form_must_hold(found, drop, largest, fault):
    said = find_fault(found, answers(), 1_000, drop, largest)
    if fault is None:
        assert said is None
    else:
        assert said is not None and re.search(fault, said)


class Slow:
    """Takes as long for each image as it was told to, and says when its turn is."""

    def __init__(self, name: str, seconds: float, log: list[tuple[str, int]]) -> None:
        self.name, self.seconds, self.log = name, seconds, log

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        self.log.append((self.name, len(pixels)))
        time.sleep(self.seconds * len(pixels))
        return np.zeros((len(pixels), 2), dtype=np.float32)


def test_forms_are_timed_in_turn_each_image_alone_and_in_a_batch(monkeypatch):
    monkeypatch.setattr(latency, "TURN_SECONDS", 0.004)
    log: list[tuple[str, int]] = []
    runtimes = {"a": Slow("a", 0.0005, log), "b": Slow("b", 0.001, log)}
    times = latency.time_in_turn(runtimes, np.zeros((3, 3, 4, 4), dtype=np.float32))
    for name, milliseconds in (("a", 0.5), ("b", 1.0)):
        assert [item.batch for item in times[name]] == [1, 32] and {count for _, count in log} == {1, 32}
        for item in times[name]:
            assert milliseconds <= item.low <= item.milliseconds <= item.high
        assert times[name][1].milliseconds < 2 * milliseconds
    ones = [name for name, count in log if count == 1]
    turns = sum(first != second for first, second in pairwise(ones))
    assert turns >= latency.ROUNDS, "no form has all its rounds at once"
    assert turns < 2 * latency.ROUNDS, "nor always goes first: who ends a round begins the next"


def test_the_recorded_predictions_are_found_by_their_rows_at_any_temperature(tmp_path):
    rows = RNG.permutation(1_000)[:300]
    file = tmp_path / "predictions.parquet"
    save_predictions(file, NATIVE, LABELS, rows)
    some = RNG.permutation(300)[:50]
    assert difference_from_recorded(file, rows[some], NATIVE[some]) < 1e-6
    assert difference_from_recorded(file, rows[some], NATIVE[some] / 2.5, temperature=2.5) < 1e-6
    assert difference_from_recorded(file, rows[some], NATIVE[some] / 2.5) > 0.01
    assert difference_from_recorded(file, rows[some], NATIVE[some[::-1]]) > 0.01
    assert difference_from_recorded(file, np.array([2_000]), NATIVE[:1]) is None, "of other images"
    assert difference_from_recorded(tmp_path / "none.parquet", rows, NATIVE) is None

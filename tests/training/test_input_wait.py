"""The share of waiting, by a clock of our own, and what is said about it."""

import pytest

from hf_cifar.training import input_wait
from hf_cifar.training.input_wait import InputClock, advice


def test_waiting_and_steps_are_told_apart(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(input_wait.time, "perf_counter", lambda: now[0])
    clock = InputClock()
    assert clock.fraction == 0
    for _ in range(3):
        with clock.waiting():
            now[0] += 1.0
        clock.on_step_begin(None, None, None)
        now[0] += 3.0
        clock.on_step_end(None, None, None)
        now[0] += 50.0  # an evaluation or a checkpoint
    assert clock.fraction == pytest.approx(0.25)


def test_a_loader_that_fails_has_been_waited_for(monkeypatch):
    clock = InputClock()
    with pytest.raises(OSError), clock.waiting():
        raise OSError
    assert clock.waited > 0


def test_advice_names_what_is_not_in_use_yet(monkeypatch):
    monkeypatch.setattr(input_wait, "usable_cores", lambda: 4)
    assert advice(0.1, cached=False, workers=0) is None
    plain = advice(0.25, cached=False, workers=0)
    assert "25%" in plain and "--image-cache" in plain and "--dataloader-num-workers 2" in plain
    assert plain.endswith("or a cheaper --augment; cache and workers may be changed with --resume")
    busy = advice(0.25, cached=True, workers=4)
    assert "--image-cache" not in busy and "--dataloader-num-workers" not in busy and "--resume" not in busy


def test_advice_comes_once_after_the_first_epoch_that_waited(capfd):
    clock = InputClock(lambda fraction: f"waited {fraction:.0%}" if fraction > 0.1 else None)
    clock.waited, clock.computed = 1.0, 99.0
    clock.on_epoch_end(None, None, None)
    assert capfd.readouterr().err == ""
    clock.waited, clock.computed = 30.0, 70.0
    for _ in range(2):
        clock.on_epoch_end(None, None, None)
    assert capfd.readouterr().err == "waited 30%\n"

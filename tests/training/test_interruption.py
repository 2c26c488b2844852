"""Signals in the middle and at the end of an epoch."""

import os
import signal

import pytest
import torch
from transformers import TrainerControl, TrainerState

from hf_cifar.errors import Interrupted
from hf_cifar.training.interruption import InterruptionCallback


class Arguments:
    device = torch.device("cpu")


@pytest.fixture
def callback():
    made = InterruptionCallback()
    made.on_train_begin(Arguments(), TrainerState(), TrainerControl())
    yield made
    made.restore_handlers()


@pytest.mark.parametrize(("epoch", "saves"), [(0.5, True), (1.0, False)])
def test_a_signal_stops_after_the_step(epoch, saves, callback):
    state, control = TrainerState(epoch=epoch, global_step=2, max_steps=9), TrainerControl()
    callback.on_step_end(Arguments(), state, control)
    assert not control.should_training_stop
    os.kill(os.getpid(), signal.SIGTERM)
    callback.on_step_end(Arguments(), state, control)
    assert control.should_training_stop and control.should_save == saves
    assert callback.caught == signal.SIGTERM
    control.should_evaluate = True
    callback.on_epoch_end(Arguments(), state, control)
    assert control.should_evaluate == (not saves), "at the end of an epoch its evaluation still comes"


def test_a_second_signal_stops_at_once(callback):
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_restored():
    before = signal.getsignal(signal.SIGTERM)
    callback = InterruptionCallback()
    callback.on_train_begin(Arguments(), TrainerState(), TrainerControl())
    assert signal.getsignal(signal.SIGTERM) != before
    callback.on_train_end(Arguments(), TrainerState(), TrainerControl())
    assert signal.getsignal(signal.SIGTERM) == before

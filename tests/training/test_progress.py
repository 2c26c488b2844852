"""What the bar of a training shows, from states that are written by hand."""

from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState

from hf_cifar.training.progress import ProgressCallback

ARGS = SimpleNamespace(gradient_accumulation_steps=2, eval_batch_size=4, world_size=2)
CONTROL = TrainerControl()


@pytest.fixture
def callback():
    made = ProgressCallback("fine-tuning", num_images=100)
    yield made
    made.on_train_end(ARGS, TrainerState(), CONTROL)


def begin(callback, **state):
    """Begin a training of ten batches, five steps an epoch."""
    state = TrainerState(max_steps=20, **state)
    callback.on_train_begin(ARGS, state, CONTROL, train_dataloader=range(10))
    callback.on_epoch_begin(ARGS, state, CONTROL)
    return state


def test_images_and_epochs_are_those_of_the_steps(callback):
    state = begin(callback, epoch=0.0)
    assert (callback.bar.total, callback.bar.done, callback.bar.phase) == (400, 0, "epoch 1/4")
    state.global_step, state.epoch = 3, 0.6
    callback.on_step_end(ARGS, state, CONTROL)
    assert callback.bar.done == 60 and callback.bar.note == ""


def test_a_resumed_run_shows_its_epoch_and_what_validation_said_before(callback):
    log = [{"step": 5, "eval_accuracy": 0.5}, {"step": 10, "eval_accuracy": 0.25}, {"step": 11, "loss": 1.0}]
    begin(callback, epoch=2.4, global_step=12, log_history=log)
    bar = callback.bar
    assert (bar.done, bar.phase, bar.note, bar.aside) == (240, "epoch 3/4", "validation 25.00%", "best 50.00%")
    assert bar.speed is None, "what the run before has done is no speed"


def test_validation_belongs_to_the_epoch_that_it_follows(callback):
    state = begin(callback, epoch=0.0)
    state.global_step, state.epoch = 5, 1.0
    callback.on_step_end(ARGS, state, CONTROL)
    loader = SimpleNamespace(dataset=range(20))
    for done in (8, 16, 20):
        callback.on_prediction_step(ARGS, state, CONTROL, eval_dataloader=loader)
        assert (callback.validation.done, callback.validation.total) == (done, 20)
    state.log_history.append({"step": 5, "eval_accuracy": 0.5})
    callback.on_evaluate(ARGS, state, CONTROL)
    assert callback.validation is None
    assert (callback.bar.phase, callback.bar.note, callback.bar.aside) == ("epoch 1/4", "validation 50.00%", "")
    callback.on_epoch_begin(ARGS, state, CONTROL)
    assert callback.bar.phase == "epoch 2/4"

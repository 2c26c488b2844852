"""History and early stopping from a state that is written by hand."""

from types import SimpleNamespace

import pandas
import pytest
from transformers import TrainerControl, TrainerState

from hf_cifar.data.loader import TrainBatches
from hf_cifar.training.callbacks import EarlyStoppingCallback, EpochCallback, HistoryCallback, write_history


def test_history_has_one_row_per_step_and_the_mean_loss_of_the_heads(tmp_path):
    log = [
        {"step": 4, "epoch": 1.0, "loss": 6.0, "learning_rate/0.1": 0.1, "grad_norm": 1.0},
        {"step": 4, "epoch": 1.0, "eval_accuracy": 0.5, "eval_loss": 9.0, "eval_runtime": 1.0},
        {"step": 8, "epoch": 2.0, "loss": 3.0, "learning_rate/0.1": 0.05},
        {"step": 8, "epoch": 2.0, "train_runtime": 3.0},
    ]
    state = TrainerState(log_history=log, is_world_process_zero=True)
    HistoryCallback(tmp_path / "history.csv", heads=3).on_log(None, state, TrainerControl())
    table = pandas.read_csv(tmp_path / "history.csv")
    assert list(table.columns) == ["epoch", "step", "loss", "learning_rate/0.1", "validation_accuracy"]
    assert table["loss"].tolist() == [2.0, 1.0] and table["validation_accuracy"].tolist()[0] == 0.5


def test_columns_go_by_rate_and_by_depth(tmp_path):
    row = dict.fromkeys(["a/layer.10", "a/head", "a/layer.2", "learning_rate/10", "learning_rate/2", "epoch"], 1)
    write_history(tmp_path / "h.csv", [row])
    header = (tmp_path / "h.csv").read_text().splitlines()[0].split(",")
    assert header == ["epoch", "learning_rate/2", "learning_rate/10", "a/layer.2", "a/layer.10", "a/head"]


@pytest.mark.parametrize(
    ("values", "greater", "stops"),
    [
        ([0.5, 0.6, 0.6], True, False),
        ([0.6, 0.6, 0.5], True, True),
        ([0.6, 0.5], True, False),
        ([0.3, 0.4, 0.4], False, True),
        ([0.4, 0.4, 0.3], False, False),
    ],
)
def test_training_stops_after_two_epochs_without_improvement(values, greater, stops):
    state = TrainerState(log_history=[{"eval_x": value, "step": step} for step, value in enumerate(values)])
    control = TrainerControl()
    EarlyStoppingCallback("x", greater, 2).on_evaluate(None, state, control)
    assert control.should_training_stop == stops


def test_order_and_augmentation_get_the_epoch():
    batches, images = TrainBatches(4, 2, seed=0), SimpleNamespace(epochs=[])
    images.set_epoch = images.epochs.append
    callback = EpochCallback(images)
    callback.on_epoch_begin(
        None, TrainerState(epoch=3.0), TrainerControl(), train_dataloader=SimpleNamespace(batch_sampler=batches)
    )
    assert batches.epoch == 3 and images.epochs == [3]

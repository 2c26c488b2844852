"""The learning rate of every step of a run, against torch's own schedulers."""

import math

import pandas
import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from hf_cifar.errors import InputError
from hf_cifar.stages.train import run_training
from hf_cifar.training.finetune.trainer import FinetuneTrainer

pytestmark = pytest.mark.usefixtures("no_pictures")

# 54 training images in batches of 8 make 7 batches an epoch, two of them a step: 4 steps an epoch, the last of one
# batch. 6 epochs make 24 steps.
RATE, EPOCHS, PER_EPOCH, STEPS = 0.02, 6, 4, 24
OPTIONS = {
    "stage": "finetune",
    "learning_rate": RATE,
    "num_train_epochs": EPOCHS,
    "train_batch_size": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 2,
    "logging_strategy": "steps",
    "logging_steps": 1,
    "layer_decay": 0.5,
    "augment": "none",
    "warmup_steps": 0,
}


def by_torch(make, steps_an_epoch: bool = False) -> list[float]:
    """The rate of each step of a torch scheduler, stepped once a step or once an epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = make(optimizer)
    rates = []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if not steps_an_epoch or (step + 1) % PER_EPOCH == 0:
            scheduler.step()
    return rates


def warm(make, warmup: int):
    """A torch scheduler after a linear ramp, which torch lets start at nearly 0."""

    def build(optimizer):
        ramp = LinearLR(optimizer, start_factor=1e-12, total_iters=warmup)
        return SequentialLR(optimizer, [ramp, make(optimizer)], [warmup])

    return build


SCHEDULES = {
    "step": ({"step_size": 2, "gamma": 0.3}, lambda: by_torch(lambda o: StepLR(o, 2, 0.3), steps_an_epoch=True)),
    "cosine": ({}, lambda: by_torch(lambda o: CosineAnnealingLR(o, STEPS))),
    "linear": ({}, lambda: by_torch(lambda o: LinearLR(o, 1.0, 0.0, STEPS))),
    "constant": ({}, lambda: [RATE] * STEPS),
    "cosine, warm": ({"warmup_steps": 6}, lambda: by_torch(warm(lambda o: CosineAnnealingLR(o, STEPS - 6), 6))),
    "linear, warm": ({"warmup_steps": 0.25}, lambda: by_torch(warm(lambda o: LinearLR(o, 1.0, 0.0, STEPS - 6), 6))),
    "constant, warm": ({"warmup_steps": 6}, lambda: by_torch(warm(lambda o: ConstantLR(o, 1.0), 6))),
    "step, warm": (
        {"warmup_steps": 6, "step_size": 2, "gamma": 0.3},
        lambda: [
            rate * min(1, step / 6)
            for step, rate in enumerate(by_torch(lambda o: StepLR(o, 2, 0.3), steps_an_epoch=True))
        ],
    ),
}


def rates_of(result) -> pandas.DataFrame:
    history = pandas.read_csv(result.output_dir / "finetune" / "history.csv")
    return history[[name for name in history.columns if name.startswith("learning_rate/")]]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_step_has_the_rate_of_torchs_scheduler_also_after_a_resume(name, configure, monkeypatch):
    options, expected = SCHEDULES[name]
    config = OPTIONS | {"scheduler": name.partition(",")[0]} | options
    step = FinetuneTrainer.training_step

    def interrupted(self, *args, **kwargs):
        if self.state.global_step == 14:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(FinetuneTrainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(configure(**config))
    monkeypatch.undo()
    rates = rates_of(run_training(configure(**config, resume=True)))
    assert len(rates) == STEPS
    for place, group in enumerate(reversed(rates.columns)):
        torch.testing.assert_close(
            rates[group].tolist(), [rate * 0.5**place for rate in expected()], rtol=1e-6, atol=1e-10
        )


@pytest.mark.parametrize(("metric", "mode", "warmup"), [("accuracy", "max", 3), ("nll", "min", 0)])
def test_plateau_drops_by_the_validation_metric_of_each_epoch(metric, mode, warmup, configure):
    # Only an epoch better by 5 counts, so that there are drops whatever the weights.
    options = {"learning_rate": 0.3, "warmup_steps": warmup, "selection_metric": metric}
    options["lr_scheduler_kwargs"] = {"threshold": 5.0, "threshold_mode": "abs"}
    result = run_training(configure(**OPTIONS | options, scheduler="plateau", plateau_patience=0, gamma=0.5))
    history = pandas.read_csv(result.output_dir / "finetune" / "history.csv")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=0, threshold=5.0, threshold_mode="abs")
    expected = []
    for step, value in enumerate(history[f"validation_{metric}"]):
        expected.append(optimizer.param_groups[0]["lr"] * (min(1, step / warmup) if warmup else 1))
        if not math.isnan(value):
            scheduler.step(value)
    assert expected[-1] < 0.3, "it must have dropped for the comparison to say anything"
    assert rates_of(result)["learning_rate/head"].tolist() == pytest.approx(expected)


def test_what_a_schedule_does_not_take_is_refused(configure):
    with pytest.raises(InputError, match="--scheduler cosine, --lr-scheduler-kwargs"):
        run_training(configure(**OPTIONS, scheduler="cosine", lr_scheduler_kwargs={"colour": 1}, overwrite=True))
    with pytest.raises(InputError, match="--lr-scheduler-type cannot be set: use --scheduler"):
        run_training(configure(**OPTIONS, lr_scheduler_type="linear", overwrite=True))

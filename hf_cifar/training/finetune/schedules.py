"""Learning-rate schedules: at each step of the optimizer, a factor on every group's own rate."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, get_scheduler

from hf_cifar.config.options.finetune import FinetuneConfig
from hf_cifar.errors import InputError


def make_schedule(
    config: FinetuneConfig,
    args: TrainingArguments,
    optimizer: torch.optim.Optimizer,
    num_steps: int,
    steps_per_epoch: int,
    greater_is_better: bool,
) -> LRScheduler:
    """Return the schedule named by `--scheduler`.

    `step` is `torch.optim.lr_scheduler.StepLR` stepped once an epoch; `plateau` is torch's `ReduceLROnPlateau`, stepped
    by `Trainer` after each evaluation and warmed up by `PlateauWarmupCallback`; the others are those of `transformers`.
    All have a linear warm-up.

    Args:
        config: name and options of the schedule.
        args: warm-up (`warmup_steps`) and `lr_scheduler_kwargs`.
        optimizer: its groups have the rates that the factors apply to.
        num_steps: of the optimizer, in all of training.
        steps_per_epoch: of the optimizer.
        greater_is_better: whether a higher value of the metric watched by `plateau` is better.

    Raises:
        InputError: the schedule does not take these options.
    """
    warmup = args.get_warmup_steps(num_steps)
    options: dict[str, Any] = dict(args.lr_scheduler_kwargs or {})  # type: ignore[arg-type]
    try:
        if config.scheduler == "plateau":
            mode: Literal["min", "max"] = "max" if greater_is_better else "min"
            return ReduceLROnPlateau(
                optimizer, mode, **{"factor": config.gamma, "patience": config.plateau_patience, **options}
            )
        if config.scheduler == "step":
            factor = partial(
                step_factor, warmup=warmup, per_epoch=steps_per_epoch, size=config.step_size, gamma=config.gamma
            )
            return LambdaLR(optimizer, factor, **options)
        name = "constant_with_warmup" if config.scheduler == "constant" else config.scheduler
        return get_scheduler(name, optimizer, warmup, num_steps, options)
    except TypeError as error:
        raise InputError(f"--scheduler {config.scheduler}, --lr-scheduler-kwargs {options}: {error}") from error


class PlateauWarmupCallback(TrainerCallback):
    """Linear warm-up for `plateau`, whose scheduler is stepped only after evaluations.

    Args:
        rates: of the optimizer's groups at the end of the warm-up.
    """

    def __init__(self, rates: Sequence[float]) -> None:
        self.rates = list(rates)

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Set the rates of this step, up to the one after the warm-up."""
        warmup = args.get_warmup_steps(state.max_steps)
        if warmup and state.global_step <= warmup:
            for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * state.global_step / warmup


def step_factor(step: int, *, warmup: int, per_epoch: int, size: int, gamma: float) -> float:
    """Return the factor on the learning rate at a step: `gamma` for every `size` full epochs, after a ramp from 0.

    Args:
        step: of the optimizer, counted from 0.
        warmup: steps of the ramp.
        per_epoch: steps in an epoch.
        size: epochs between drops.
        gamma: factor of a drop.
    """
    ramp = min(1.0, step / warmup) if warmup else 1.0
    return ramp * math.pow(gamma, step // per_epoch // size)

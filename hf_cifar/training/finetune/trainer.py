"""A `Trainer` with a learning rate per layer group, the schedules of `--scheduler`, and averaged weights."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from transformers import PreTrainedModel, TrainingArguments

from hf_cifar.config.run_config import RunConfig
from hf_cifar.training.finetune.ema import WeightAverage
from hf_cifar.training.finetune.schedules import make_schedule
from hf_cifar.training.optimizer import ParameterGroup, make_optimizer
from hf_cifar.training.selection import GREATER_IS_BETTER
from hf_cifar.training.trainer import StageTrainer


class FinetuneTrainer(StageTrainer):
    """Trains the layer groups of a classifier.

    Args:
        model, args: as of `Trainer`.
        config: of the run.
        groups: parameter groups of the optimizer.
        average: average of the weights; evaluated in place of the weights if given.
        kwargs: as of `StageTrainer`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        *,
        config: RunConfig,
        groups: Sequence[ParameterGroup],
        average: WeightAverage | None,
        **kwargs: Any,
    ) -> None:
        self.config = config
        self.groups = groups
        self.average = average
        super().__init__(model, args, every_epoch=True, **kwargs)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return the optimizer over all groups, including those that are frozen for a while."""
        if self.optimizer is None:
            groups = [
                {"params": group.parameters, "lr": group.learning_rate, "weight_decay": group.weight_decay}
                for group in self.groups
            ]
            self.optimizer = make_optimizer(groups, self.args, self.config.momentum, self.model)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """Return the schedule of `--scheduler`."""
        if self.lr_scheduler is None:
            optimizer = optimizer or self.optimizer
            assert optimizer is not None
            self.lr_scheduler = make_schedule(  # type: ignore[assignment]
                self.config.finetune,
                self.args,
                optimizer,
                num_training_steps,
                self.steps_per_epoch,
                GREATER_IS_BETTER[self.config.finetune.selection_metric],
            )
        return self.lr_scheduler

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate as `Trainer.evaluate`, with the averaged weights if there are any."""
        with self.average.in_place() if self.average is not None else nullcontext():
            return super().evaluate(*args, **kwargs)

    def named_rates(self) -> dict[str, float]:
        """Return one learning rate per layer group, as columns of the history."""
        pairs = zip(self.groups, self.rates, strict=bool(self.rates))
        return {f"learning_rate/{group.name}": rate for group, rate in pairs}

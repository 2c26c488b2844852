"""A `Trainer` with a learning rate for each layer group, our schedules, and averaged weights."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from transformers import EvalPrediction, PreTrainedModel, TrainingArguments

from hf_cifar.config.run_config import RunConfig
from hf_cifar.evaluation.metrics import Accuracy, MacroF1
from hf_cifar.training.finetune.ema import WeightAverage
from hf_cifar.training.finetune.schedules import make_schedule
from hf_cifar.training.optimizer import ParameterGroup, make_optimizer
from hf_cifar.training.selection import GREATER_IS_BETTER, score
from hf_cifar.training.trainer import StageTrainer


class FinetuneTrainer(StageTrainer):
    """Trains the layer groups of a classifier.

    Args:
        model, args: as of `Trainer`.
        config: of the run.
        groups: what the optimizer holds.
        average: of the weights; where it is given, it is what is evaluated.
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
        super().__init__(model, args, compute_metrics=validation_metrics, every_epoch=True, **kwargs)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Every group with its own rate and weight decay; those that are frozen for a while too."""
        if self.optimizer is None:
            groups = [
                {"params": group.parameters, "lr": group.learning_rate, "weight_decay": group.weight_decay}
                for group in self.groups
            ]
            self.optimizer = make_optimizer(groups, self.args, self.config.momentum, self.model)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """The schedule of `--scheduler`."""
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
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """As `Trainer.evaluate`, of the averaged weights where there are any."""
        with self.average.in_place() if self.average is not None else nullcontext():
            return super().evaluate(*args, **kwargs)

    def named_rates(self) -> dict[str, float]:
        """One column a layer group."""
        pairs = zip(self.groups, self.rates, strict=bool(self.rates))
        return {f"learning_rate/{group.name}": rate for group, rate in pairs}


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Accuracy, macro F1 and cross-entropy in nats of logits, float [n, labels]."""
    logits, labels = prediction.predictions, prediction.label_ids
    assert not isinstance(logits, tuple) and not isinstance(labels, tuple)
    answers = {"predictions": logits.argmax(axis=1), "references": labels}
    return {
        **Accuracy(keep_in_memory=True).compute(**answers),
        **MacroF1(keep_in_memory=True).compute(**answers, num_labels=logits.shape[1]),
        "nll": score(logits, labels)[1],
    }

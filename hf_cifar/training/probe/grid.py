"""A `Trainer` for a grid of heads, and which of them is best."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import EvalPrediction, TrainingArguments

from hf_cifar.errors import TrainingError
from hf_cifar.training.optimizer import make_optimizer
from hf_cifar.training.probe.heads import HeadGrid
from hf_cifar.training.selection import best_of, score
from hf_cifar.training.trainer import StageTrainer


class GridTrainer(StageTrainer):
    """Trains the heads of a `HeadGrid`, each with a learning rate of its own.

    Args:
        model, args: as of `Trainer`.
        heads: the grid, which is `model` or inside it.
        learning_rates: one a head.
        momentum: of SGD, where `--optim sgd` (the recipe's) is in force.
        kwargs: as of `StageTrainer`.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        args: TrainingArguments,
        *,
        heads: HeadGrid,
        learning_rates: Sequence[float],
        momentum: float,
        **kwargs: Any,
    ) -> None:
        self.heads = heads
        self.learning_rates = list(learning_rates)
        self.momentum = momentum
        # Of several heads one may diverge: it is the grid's to find the rate at which they do.
        watched = len(self.learning_rates) == 1
        super().__init__(model, args, compute_metrics=self._metrics, watched=watched, **kwargs)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """One parameter group a head."""
        if self.optimizer is None:
            groups = [
                {"params": list(head.parameters()), "lr": rate}
                for head, rate in zip(self.heads.layers, self.learning_rates, strict=True)
            ]
            self.optimizer = make_optimizer(groups, self.args, self.momentum)
        return self.optimizer

    def named_rates(self) -> dict[str, float]:
        """One column a head, by the rate that its schedule starts from."""
        if len(self.learning_rates) == 1:
            return super().named_rates()
        return {f"learning_rate/{rate:g}": now for rate, now in zip(self.learning_rates, self.rates, strict=True)}

    def _metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """Accuracy and cross-entropy of every head, and of the one that is best so far."""
        scores = scores_of(prediction.predictions, prediction.label_ids)
        best = best_of(scores)
        if math.isinf(scores[best][1]):
            raise TrainingError(
                f"every head has diverged by step {self.state.global_step}, at learning rates of "
                f"{', '.join(f'{rate:g}' for rate in self.learning_rates)}: add lower ones to --learning-rates"
            )
        metrics = {"accuracy": scores[best][0], "nll": scores[best][1]}
        if len(scores) > 1:
            metrics.update(
                {f"accuracy/{rate:g}": one[0] for rate, one in zip(self.learning_rates, scores, strict=True)}
            )
        return metrics


def scores_of(logits: Any, labels: Any) -> list[tuple[float, float]]:
    """The `score` of every head, from logits, float [n, heads, labels]."""
    return [score(logits[:, head], labels) for head in range(logits.shape[1])]

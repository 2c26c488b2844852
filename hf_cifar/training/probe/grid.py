"""A `Trainer` for a grid of heads, and the scores of each."""

import gc
import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import EvalPrediction, TrainerState, TrainingArguments

from hf_cifar.errors import TrainingError
from hf_cifar.training.optimizer import make_optimizer
from hf_cifar.training.probe.heads import HeadGrid
from hf_cifar.training.selection import Score, best_candidate, score
from hf_cifar.training.trainer import StageTrainer
from hf_cifar.training.trainer_compat import ClipSeparately


class GridTrainer(StageTrainer):
    """Trains the heads of a `HeadGrid`, each with its own learning rate and its own gradient clipping.

    Args:
        model, args: as for `Trainer`.
        heads: the grid, which is `model` or inside it.
        learning_rates: one per head.
        momentum: of SGD, the recipe's optimizer.
        metric: of `--selection-metric`.
        kwargs: as for `StageTrainer`.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        args: TrainingArguments,
        *,
        heads: HeadGrid,
        learning_rates: Sequence[float],
        momentum: float,
        metric: str = "accuracy",
        **kwargs: Any,
    ) -> None:
        self.heads = heads
        self.learning_rates = list(learning_rates)
        self.momentum = momentum
        self.metric = metric
        # One of several heads may diverge: finding the rate at which they do is what a grid is for.
        watched = len(self.learning_rates) == 1
        self.clipping = ClipSeparately([list(head.parameters()) for head in heads.layers], args.max_grad_norm)
        super().__init__(model, args, compute_metrics=self._metrics, watched=watched, **kwargs)
        self.add_callback(self.clipping)

    def run(self) -> TrainerState:
        """Train as `StageTrainer.run`, without looking for garbage among all that was imported and loaded before.

        accelerate collects garbage as training begins, which takes as long as some epochs of the heads.
        """
        if gc.get_freeze_count():  # the command line has set all that was imported aside, and keeps it there
            return super().run()
        gc.freeze()
        try:
            return super().run()
        finally:
            gc.unfreeze()

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return the optimizer, with one parameter group per head."""
        if self.optimizer is None:
            groups = [
                {"params": list(head.parameters()), "lr": rate}
                for head, rate in zip(self.heads.layers, self.learning_rates, strict=True)
            ]
            self.optimizer = make_optimizer(groups, self.args, self.momentum)
        return self.optimizer

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Take `StageTrainer.training_step`, with the gradients hidden from Trainer's clipping over all heads."""
        self.clipping.show()  # the gradients of earlier parts of an accumulated step
        loss = super().training_step(model, inputs, *args, **kwargs)
        self.clipping.hide()
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log as `StageTrainer.log`, without the gradient norm, which is that of no gradients."""
        logs.pop("grad_norm", None)
        super().log(logs, *args, **kwargs)

    def named_rates(self) -> dict[str, float]:
        """Return one learning rate per head, named by the rate that its schedule starts from."""
        if len(self.learning_rates) == 1:
            return super().named_rates()
        return {f"learning_rate/{rate:g}": now for rate, now in zip(self.learning_rates, self.rates, strict=True)}

    def _metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """Compute the metrics of the best head, and of every head its accuracy and what they are chosen by."""
        scores = scores_of(prediction.predictions, prediction.label_ids)
        best = scores[best_candidate(scores, self.metric, len(prediction.label_ids))]
        if math.isinf(best.nll):
            raise TrainingError(
                f"every head has diverged by step {self.state.global_step}, at learning rates of "
                f"{', '.join(f'{rate:g}' for rate in self.learning_rates)}: add lower ones to --learning-rates"
            )
        metrics = {name: best.by(name) for name in dict.fromkeys(("accuracy", "balanced_accuracy", "nll", self.metric))}
        if len(scores) > 1:
            metrics |= {
                f"{name}/{rate:g}": score.by(name)
                for name in dict.fromkeys(("accuracy", self.metric))
                for rate, score in zip(self.learning_rates, scores, strict=True)
                if name != "nll"  # that of a head that has diverged is infinite
            }
        return metrics


def scores_of(logits: Any, labels: Any) -> list[Score]:
    """Return the `score` of every head.

    Args:
        logits: float [n, heads, labels].
        labels: int64 [n].
    """
    return [score(logits[:, head], labels) for head in range(logits.shape[1])]

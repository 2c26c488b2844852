"""`transformers.Trainer`, with what a grid of heads needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from transformers import EvalPrediction, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from hf_cifar.config import RESERVED_TRAINING_ARGUMENTS
from hf_cifar.data.loader import as_is
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.training.heads import HeadGrid


class GridTrainer(Trainer):
    """Trains the heads of a `HeadGrid`, each with a learning rate of its own.

    Args:
        model, args: as of `Trainer`.
        heads: the grid, which is `model` or inside it.
        learning_rates: one a head.
        momentum: of SGD, where `--optim sgd` (the recipe's) is in force.
        kwargs: likewise.
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
        super().__init__(model, args, data_collator=as_is, compute_metrics=self._metrics, **kwargs)
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """One parameter group a head."""
        if self.optimizer is None:
            groups = [
                {"params": list(head.parameters()), "lr": rate}
                for head, rate in zip(self.heads.layers, self.learning_rates, strict=True)
            ]
            if self.args.optim == "sgd":
                self.optimizer = torch.optim.SGD(
                    groups,
                    lr=self.learning_rates[0],
                    momentum=self.momentum,
                    weight_decay=self.args.weight_decay,
                )
            else:
                kind, options = Trainer.get_optimizer_cls_and_kwargs(self.args)
                self.optimizer = kind(groups, **{"weight_decay": self.args.weight_decay, **options})
        return self.optimizer

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the learning rate of every head, where there are several."""
        if "loss" in logs and len(self.learning_rates) > 1:
            assert self.lr_scheduler is not None
            rates = [float(rate) for rate in self.lr_scheduler.get_last_lr()]
            logs.pop("learning_rate", None)
            logs.update({f"learning_rate/{rate:g}": now for rate, now in zip(self.learning_rates, rates, strict=True)})
        super().log(logs, *args, **kwargs)

    def _metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """Accuracy and cross-entropy of every head, and of the one that is best so far."""
        scores = scores_of(prediction.predictions, prediction.label_ids)
        best = best_of(scores)
        metrics = {"accuracy": scores[best][0], "nll": scores[best][1]}
        if len(scores) > 1:
            metrics.update(
                {f"accuracy/{rate:g}": one[0] for rate, one in zip(self.learning_rates, scores, strict=True)}
            )
        return metrics


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy, and mean cross-entropy in nats (infinite for logits that are not finite)."""
    if not np.isfinite(logits).all():
        return 0.0, float("inf")
    nll = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean()
    return float((logits.argmax(axis=1) == labels).mean()), float(nll)


def scores_of(logits: Any, labels: Any) -> list[tuple[float, float]]:
    """The `score` of every head, from logits, float [n, heads, labels]."""
    return [score(logits[:, head], labels) for head in range(logits.shape[1])]


def best_of(scores: Sequence[tuple[float, float]]) -> int:
    """The position of the highest accuracy; of equal ones, of the lowest cross-entropy."""
    return min(range(len(scores)), key=lambda place: (-scores[place][0], scores[place][1]))


def training_arguments(given: dict[str, Any], folder: Path, seed: int, **defaults: Any) -> TrainingArguments:
    """`TrainingArguments` of a stage: the package's own, then the stage's defaults, then what recipe and user say.

    Args:
        given: fields of TrainingArguments, from the recipe, a file or the command line.
        folder: of the checkpoints.
        seed: of everything.
        defaults: of the stage.

    Raises:
        InputError: a field that does not exist (the nearest is named), that is the package's own, or a bad value.
    """
    known = TrainingArguments.__dataclass_fields__
    for name in given:
        if name not in known:
            raise unknown_name("training argument", name, known)
        if name in RESERVED_TRAINING_ARGUMENTS:
            raise InputError(f"--{name.replace('_', '-')} cannot be set: {RESERVED_TRAINING_ARGUMENTS[name]}")
    values = {
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "logging_strategy": "epoch",
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 1,
        **defaults,
        **given,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "output_dir": str(folder),
        "seed": seed,
        "data_seed": given.get("data_seed", seed),
    }
    try:
        return TrainingArguments(**values)
    except (ValueError, TypeError, ImportError) as error:
        raise InputError(f"training arguments: {' '.join(str(error).split())[:300]}") from error

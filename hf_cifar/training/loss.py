"""The loss of a step, its mean since the last log, and the stop when it is no longer finite."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from hf_cifar.data.loader import PADDING_LABEL
from hf_cifar.errors import TrainingError
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_text

FILE = "loss.json"
CHECK_EVERY = 25  # steps; on a GPU reading the loss waits for everything in flight


def summed_cross_entropy(
    outputs: Any,
    labels: torch.Tensor,
    *,
    targets: torch.Tensor | None = None,
    smoothing: float = 0.0,
    weights: torch.Tensor | None = None,
    offsets: torch.Tensor | None = None,
    **_: Any,
) -> torch.Tensor:
    """Return the cross-entropy in nats, summed over the images, and over the heads if there are several.

    Args:
        outputs: of the model; `logits` float [n, classes] or [n, heads, classes].
        labels: int64 [n]; `PADDING_LABEL` leaves an image out.
        targets: float [n, classes], used instead of the labels.
        smoothing: label smoothing (Szegedy et al., 2016).
        weights: float [classes], of each class; of a mixed or smoothed target, each class's part has its own.
        offsets: float [classes], added to the logits (logit adjustment).
    """
    logits = outputs["logits"].float()
    if offsets is not None:
        logits = logits + offsets
    options: dict[str, Any] = {"weight": weights, "label_smoothing": smoothing, "reduction": "sum"}
    if targets is not None:
        return cross_entropy(logits, targets, **options)
    if logits.ndim == 3:
        labels = labels.repeat_interleave(logits.shape[1])
        logits = logits.flatten(0, 1)
    return cross_entropy(logits, labels, ignore_index=PADDING_LABEL, **options)


class LossMeter:
    """Mean loss of the steps since the last log, kept in checkpoints; it stops training at a loss that is not finite.

    Args:
        watched: stop training at a loss that is not finite.
    """

    def __init__(self, watched: bool = True) -> None:
        self.watched = watched
        self.total = 0.0
        self.since = 0
        self.recent: list[tuple[torch.Tensor, int, float, float]] = []

    def add(self, loss: torch.Tensor, step: int, epoch: float | None, rate: float) -> None:
        """Add the loss of a step, or of a part of an accumulated one.

        Raises:
            TrainingError: the loss is not finite; on a GPU noticed some steps later.
        """
        self.recent.append((loss.detach(), step, epoch or 0.0, rate))
        if loss.device.type == "cpu" or len(self.recent) >= CHECK_EVERY:
            self.check()

    def check(self) -> None:
        """Check every loss added since the last check.

        Raises:
            TrainingError: a loss is not finite; the message gives step, learning rate and advice.
        """
        recent, self.recent = self.recent, []
        values = torch.stack([loss for loss, *_ in recent]).tolist() if recent else []
        for value, (_, step, epoch, rate) in zip(values, recent, strict=True):
            if self.watched and not math.isfinite(value):
                raise TrainingError(
                    f"the loss became {value} at step {step + 1} (epoch {epoch:.2f}), at a learning rate of {rate:g}: "
                    "try a lower --learning-rate, --warmup-steps 0.1, --max-grad-norm 1, or --bf16 instead of --fp16; "
                    "the last good checkpoint is kept, and --overwrite starts over"
                )
            self.total += value

    def mean(self, step: int) -> float:
        """Return the mean loss per step over all processes since the last call."""
        self.check()
        value = self._everywhere() / max(1, step - self.since)
        self.total, self.since = 0.0, step
        return value

    def save(self, folder: Path) -> None:
        """Save the sum since the last log in a checkpoint."""
        self.check()
        value = self._everywhere()
        if processes.is_main():
            # Not by `write_json`, which refuses the NaN that a diverged head of a grid leaves here.
            write_text(folder / FILE, json.dumps({"total": value, "since": self.since}))

    def load(self, folder: Path) -> None:
        """Continue from the sum saved in a checkpoint."""
        saved = json.loads((folder / FILE).read_text())
        self.total, self.since = saved["total"], saved["since"]

    def _everywhere(self) -> float:
        """Return the mean over the processes of their sums, each scaled by the number of processes."""
        return float(processes.gathered(np.array([self.total])).mean())

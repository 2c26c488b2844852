"""The average of the weights over the last steps of training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.models.weights import put_weights
from hf_cifar.utils import processes

FILE = "ema.safetensors"


class WeightAverage(TrainerCallback):
    """An exponential moving average of every weight and running statistic (Polyak and Juditsky, 1992).

    After each step `average = decay * average + (1 - decay) * weight`, from the weights that training starts with.
    What does not move stays bit for bit the same, and counters are copied.

    Args:
        model: whose weights are averaged.
        decay: a step; 0.999 averages over about the last 1,000.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the average towards the weights of this step."""
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - self.decay)
            else:
                self.average[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the model has the averaged weights."""
        own = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        put_weights(self.model, self.average)
        try:
            yield
        finally:
            put_weights(self.model, own)

    def save(self, folder: Path) -> None:
        """Put the average into a checkpoint."""
        if processes.is_main():
            save_file({name: value.contiguous() for name, value in self.average.items()}, folder / FILE)

    def load(self, folder: Path) -> None:
        """Take the average from a checkpoint."""
        for name, value in load_average(folder).items():
            self.average[name].copy_(value)


def load_average(folder: Path) -> dict[str, torch.Tensor]:
    """The average that a checkpoint holds, by the names of the model's tensors."""
    return load_file(folder / FILE)

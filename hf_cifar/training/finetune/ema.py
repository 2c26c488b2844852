"""An exponential moving average of the weights."""

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
    """Exponential moving average of every weight and running statistic (Polyak and Juditsky, 1992).

    After each step `average = decay * average + (1 - decay) * weight`, starting from the initial
    weights. Values that do not change stay bit-identical, and counters are copied.

    Args:
        model: its weights are averaged.
        decay: per step; 0.999 averages over about the last 1,000 steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Update the average with the weights of this step."""
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - self.decay)
            else:
                self.average[name].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averaged weights within the context."""
        own = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        put_weights(self.model, self.average)
        try:
            yield
        finally:
            put_weights(self.model, own)

    def save(self, folder: Path) -> None:
        """Save the average in a checkpoint."""
        if processes.is_main():
            save_file({name: value.contiguous() for name, value in self.average.items()}, folder / FILE)

    def load(self, folder: Path) -> None:
        """Load the average from a checkpoint."""
        for name, value in load_average(folder).items():
            self.average[name].copy_(value)


def load_average(folder: Path) -> dict[str, torch.Tensor]:
    """Return the average saved in a checkpoint, by the names of the model's tensors."""
    return load_file(folder / FILE)

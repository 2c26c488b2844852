"""Fine-tuning steps inside the package's `Trainer`, against a bare loop, both on a batch that is on the device."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from benchmarks import package, stock
from benchmarks.measuring import Comparison, Timed, quiet, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

LEARNING_RATE = 0.001
NAMES = [f"class {number}" for number in range(10)]


class OneBatch(Dataset):
    """A dataset whose every batch is the beginning of the same one, on the device already.

    Args:
        pixels: float32 [n, 3, height, width].
        labels: int64 [n].
        count: images in an epoch.
    """

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor, count: int) -> None:
        self.pixels, self.labels, self.count = pixels, labels, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": self.pixels[0], "labels": self.labels[0]}

    def __getitems__(self, numbers: Sequence[int]) -> dict[str, torch.Tensor]:
        """Return as many images as are asked for."""
        return {"pixel_values": self.pixels[: len(numbers)], "labels": self.labels[: len(numbers)]}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the row of the steps."""
    side = setting.side_or(64)
    steps = max(2, setting.images // BATCH)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(BATCH, 3, side, side, generator=generator).to(setting.device)
    labels = (torch.arange(BATCH) % len(NAMES)).to(setting.device)
    model, _ = package.resnet18(setting, NAMES)
    first = copy.deepcopy(model.state_dict())
    options: dict[str, Any] = {"learning_rate": LEARNING_RATE, "optim": "sgd", "warmup_steps": 0, "max_grad_norm": 1.0}

    def ours() -> Timed:
        model.load_state_dict(first)
        with quiet():
            seconds = package.train_steps(setting, model, OneBatch(pixels, labels, steps * BATCH), BATCH, options)
        return Timed(seconds, _head(model))

    def theirs() -> Timed:
        model.load_state_dict(first)
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=stock.MOMENTUM)
        seconds = stock.bare_steps(model, pixels, labels, steps, optimizer, bf16=False)
        return Timed(seconds, _head(model))

    def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> str:
        start = torch.cat([value.flatten() for name, value in first.items() if name.startswith("network.fc")]).cpu()
        moved = float((theirs[-1] - start).norm())
        apart = float((ours[-1] - theirs[-1]).norm()) / moved
        return require(apart <= 0.01, f"heads after {steps} steps apart by {apart:.1e} of their way (allowed 0.01)")

    yield Comparison(
        "steps",
        f"images/s of {steps} fine-tuning steps in Trainer, batches of {BATCH} at {side} px, without validation",
        "bare PyTorch loop on the same batch, with the same clipping",
        "faster",
        ours,
        theirs,
        same,
        Goal(">=", 0.95),
    ).measure(setting.rounds)


def _head(model: torch.nn.Module) -> torch.Tensor:
    """Return the values of the head, on the CPU."""
    values = [value.flatten() for name, value in model.state_dict().items() if name.startswith("network.fc")]
    return torch.cat(values).cpu()

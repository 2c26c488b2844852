"""What is common to all figures of one benchmark: which images, how many, at which size, how often, and where."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

BATCH = 64


@dataclass(frozen=True)
class Setting:
    """The options of a benchmark.

    Attributes:
        dataset: as `--dataset` of the package takes it.
        weights: of the ResNet-18, as `--weights` of the package takes them; none: random ones, which cost as much.
        images: training images of each figure; some figures say that they take fewer or more.
        rounds: that count, of both sides.
        side: of the network's input in pixels, in place of what each figure has by itself; None keeps these.
        quick: sizes at which everything runs and nothing is worth quoting.
        folder: a temporary one.
        torch_compile: compile the networks of the GPU figure, the package's and the synthetic loop's.
    """

    dataset: str
    weights: str
    images: int
    rounds: int
    side: int | None
    quick: bool
    folder: Path
    torch_compile: bool = False

    def side_or(self, default: int) -> int:
        """Return the side of the network's input, in pixels: that of the command line, or a figure's own."""
        return self.side if self.side is not None else default

    @cached_property
    def on_gpu(self) -> bool:
        """Return whether there is a GPU to compute on; `--device cpu` hides it from every library."""
        import torch

        return torch.cuda.is_available()

    @property
    def process_rounds(self) -> int:
        """Return the rounds of figures whose sides are processes of their own, which take seconds to start."""
        return 1 if self.quick else self.rounds

    @property
    def device(self) -> str:
        """Return the name of the device, as torch takes it."""
        return "cuda" if self.on_gpu else "cpu"

    @property
    def stock_workers(self) -> int:
        """Return how many loader processes serve a baseline best: none where the network needs the same cores."""
        return min(8, os.cpu_count() or 1) if self.on_gpu else 0

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Give a new folder that is removed after the block: a checkpoint of each round would fill the disk."""
        folder = self.new_folder(name)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def new_folder(self, name: str) -> Path:
        """Return a new, empty folder below the temporary one."""
        number = 0
        while (self.folder / f"{name}-{number}").exists():
            number += 1
        folder = self.folder / f"{name}-{number}"
        folder.mkdir(parents=True)
        return folder

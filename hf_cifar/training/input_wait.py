"""How much of the training time goes into waiting for images."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.utils.formatting import listed
from hf_cifar.utils.processes import usable_cores
from hf_cifar.utils.progress import say

TOLERATED = 0.1  # of the training time; waiting longer is worth a word


class InputClock(TrainerCallback):
    """Measures the steps of a training run, and the time in which nothing but the input was worked on.

    Evaluation, checkpoints and logs are not part of it. On a GPU a step is over once its work has been handed over, and
    the next batch is prepared meanwhile; only what the main process waits for a batch counts as waiting.

    Args:
        advise: returns what to do about a fraction of waiting, or None where it is small; said once, after the first
            epoch for which there is something to say, so that it can still be done in this run.

    Attributes:
        waited, computed: seconds, in this process and this call.
    """

    def __init__(self, advise: Callable[[float], str | None] = lambda fraction: None) -> None:
        self.advise = advise
        self._advised = False
        self.waited = 0.0
        self.computed = 0.0
        self._began = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as waiting for input."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.waited += time.perf_counter() - began

    @property
    def fraction(self) -> float:
        """Return the part of the training time that was spent waiting, from 0 to 1; 0 without any step."""
        total = self.waited + self.computed
        return self.waited / total if total else 0.0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock of a step, whose batches are there."""
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop the clock of the step."""
        self.computed += time.perf_counter() - self._began

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Say what to do about waiting, if it is long."""
        remedy = None if self._advised else self.advise(self.fraction)
        if remedy is not None:
            self._advised = True
            say(remedy)


def advice(fraction: float, *, cached: bool, workers: int) -> str | None:
    """Return what to do about a large part of waiting; None where it is small.

    Args:
        fraction: of the training time, from 0 to 1.
        cached: whether images were decoded already.
        workers: loader processes.
    """
    if fraction <= TOLERATED:
        return None
    cores = usable_cores()
    ways = [] if cached else ["--image-cache SIZE (no image is decoded twice)"]
    if workers < cores:
        ways.append(f"--dataloader-num-workers {min(cores, max(2, 2 * workers))}")
    ways += ["smaller image files", "a cheaper --augment"]
    later = "" if cached and workers >= cores else "; cache and workers may be changed with --resume"
    return (
        f"warning: {fraction:.0%} of the training time was spent waiting for images: to be faster, try "
        f"{listed(ways, last='or')}{later}"
    )

"""Time the forms of a model in turn, on the machine that exports it."""

import time
from collections.abc import Mapping
from math import ceil
from statistics import median

import numpy as np

from hf_cifar.formats.runtime import Runtime
from hf_cifar.run.format_metrics import Latency
from hf_cifar.utils.progress import progress

BATCHES = (1, 32)
ROUNDS = 7
TURN_SECONDS = 0.05  # of one form in one round, at least
MAX_PASSES = 200


def time_in_turn(runtimes: Mapping[str, Runtime], pixels: np.ndarray) -> dict[str, list[Latency]]:
    """Measure the time that every form takes for an image, in batches of one and of several.

    In each round every form has its turn, so that what slows the machine down for a while slows all of them.

    Args:
        runtimes: the forms.
        pixels: float32 [n, 3, height, width]; repeated where a batch needs more.
    """
    times: dict[str, list[Latency]] = {name: [] for name in runtimes}
    with progress(None, "timing formats", "turn", total=len(BATCHES) * ROUNDS * len(runtimes)) as bar:
        for batch in BATCHES:
            some = np.resize(pixels, (batch, *pixels.shape[1:]))
            passes = {name: _passes(runtime, some) for name, runtime in runtimes.items()}
            seconds: dict[str, list[float]] = {name: [] for name in runtimes}
            for number in range(ROUNDS):
                order = list(runtimes)
                first = number % len(order)
                for name in order[first:] + order[:first]:
                    # One pass more, in which the threads of the one before go to sleep and its own wake up.
                    runtimes[name].logits(some)
                    start = time.perf_counter()
                    for _ in range(passes[name]):
                        runtimes[name].logits(some)
                    seconds[name].append((time.perf_counter() - start) / passes[name] / batch)
                    bar.update()
            for name, taken in seconds.items():
                milliseconds = [1000 * value for value in taken]
                times[name].append(Latency(batch, median(milliseconds), min(milliseconds), max(milliseconds)))
    return times


def _passes(runtime: Runtime, pixels: np.ndarray) -> int:
    """Return how many forward passes fill a turn."""
    runtime.logits(pixels)  # the first pass allocates
    start = time.perf_counter()
    runtime.logits(pixels)
    return min(MAX_PASSES, max(1, ceil(TURN_SECONDS / (time.perf_counter() - start))))

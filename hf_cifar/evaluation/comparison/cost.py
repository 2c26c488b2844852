"""What a model costs: parameters, operations, and time, measured beside the others on the same machine."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from hf_cifar.run.environment import hardware

BATCH_SIZE = 32
ROUNDS = 20
FEWEST_ROUNDS = 3
SINGLES = 5  # images one after the other in a round
SECONDS = 30.0  # for each model; slow ones get fewer rounds


def image_for(processor: Any) -> torch.Tensor:
    """What the network gets for one square image: float32 [1, 3, height, width], whatever says so in the processor."""
    pixels: torch.Tensor = processor(images=[np.full((256, 256, 3), 128, dtype=np.uint8)], return_tensors="pt")[
        "pixel_values"
    ]
    return pixels


@torch.no_grad()
def count_flops(model: PreTrainedModel, pixels: torch.Tensor) -> int:
    """Floating-point operations of one forward pass, a multiplication and an addition counted as two.

    Convolutions and matrix products are counted, those of attention too; what is done value by value is not. It is
    what `torch.utils.flop_counter` counts.

    Args:
        model: put into eval mode.
        pixels: float32 [n, 3, height, width], on the model's device.
    """
    model.eval()
    # A fused attention is no matrix product to the counter, and on the CPU nothing at all.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(pixels)
    return counter.get_total_flops()


def measure_costs(models: Sequence[tuple[PreTrainedModel, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The costs of some models, their times measured in turn, round after round, after a first pass of each.

    In turn, so that what else the machine does, or its heat, meets them all.

    Args:
        models: each with its image processor, all on one device.

    Returns:
        For each model: parameters, gflops (for one image), image_size [height, width], images_per_second (in batches of
        `batch_size`) and latency_ms (one image), both medians, and latency_ms_quartiles. And how that was measured:
        device, threads, batch_size, rounds, torch. Reading and processing of the images is in no time.
    """
    inputs = []
    for model, processor in models:
        one = image_for(processor).to(model.device)
        inputs.append((model.eval(), one, one.repeat(BATCH_SIZE, 1, 1, 1)))
    for model, one, batch in inputs:
        _seconds(model, batch)
        _seconds(model, one)
    of_one: list[list[float]] = [[] for _ in inputs]
    of_batch: list[list[float]] = [[] for _ in inputs]
    begun, rounds = time.perf_counter(), 0
    while rounds < ROUNDS and (rounds < FEWEST_ROUNDS or time.perf_counter() - begun < SECONDS * len(inputs)):
        for place, (model, one, batch) in enumerate(inputs):
            of_batch[place].append(_seconds(model, batch))
            of_one[place] += [_seconds(model, one) for _ in range(SINGLES)]
        rounds += 1
    costs = [
        {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "gflops": count_flops(model, one) / 1e9,
            "image_size": list(one.shape[-2:]),
            "images_per_second": BATCH_SIZE / statistics.median(of_batch[place]),
            "latency_ms": 1e3 * statistics.median(of_one[place]),
            "latency_ms_quartiles": [1e3 * float(value) for value in np.quantile(of_one[place], [0.25, 0.75])],
        }
        for place, (model, one, _) in enumerate(inputs)
    ]
    device = inputs[0][0].device if inputs else torch.device("cpu")
    found = hardware(device)
    how = {
        "device": found["cpu"] if device.type == "cpu" else found["device"],
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "batch_size": BATCH_SIZE,
        "rounds": rounds,
        "torch": torch.__version__,
    }
    return costs, how


@torch.inference_mode()
def _seconds(model: PreTrainedModel, pixels: torch.Tensor) -> float:
    """How long one forward pass takes, to its end."""
    _wait(pixels.device)
    begun = time.perf_counter()
    model(pixels)
    _wait(pixels.device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)

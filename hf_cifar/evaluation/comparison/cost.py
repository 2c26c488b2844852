"""Measure the cost of models: parameters, operations and time, all on the same machine."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from hf_cifar.evaluation.comparison.rows import Measurement, ModelCost
from hf_cifar.run.environment import hardware

BATCH_SIZE = 32
ROUNDS = 20
MIN_ROUNDS = 3
SINGLES = 5  # single images a round
SECONDS = 30.0  # for each model; slow models get fewer rounds


def image_for(processor: Any) -> torch.Tensor:
    """Return the input of the network for one square image: float32 [1, 3, height, width]."""
    pixels: torch.Tensor = processor(images=[np.full((256, 256, 3), 128, dtype=np.uint8)], return_tensors="pt")[
        "pixel_values"
    ]
    return pixels


@torch.no_grad()
def count_flops(model: PreTrainedModel, pixels: torch.Tensor) -> int:
    """Count the floating-point operations of one forward pass, a multiply-add as two.

    Convolutions and matrix products count, those of attention included; element-wise operations do not
    (`torch.utils.flop_counter`).

    Args:
        model: put into eval mode.
        pixels: float32 [n, 3, height, width], on the model's device.
    """
    model.eval()
    # The counter does not see the matrix products of fused attention.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(pixels)
    return counter.get_total_flops()


def measure_costs(models: Sequence[tuple[PreTrainedModel, Any]]) -> tuple[list[ModelCost], Measurement]:
    """Measure the costs of models, their times in turn, round after round, after a warm-up of each.

    In turn, so that other load and throttling affect all models alike. Reading and processing images is not included.

    Args:
        models: each with its image processor, all on one device.

    Returns:
        The cost of each model, and how it was measured.
    """
    inputs = []
    for model, processor in models:
        single = image_for(processor).to(model.device)
        inputs.append((model.eval(), single, single.repeat(BATCH_SIZE, 1, 1, 1)))
    for model, single, batch in inputs:
        _seconds(model, batch)
        _seconds(model, single)
    single_times: list[list[float]] = [[] for _ in inputs]
    batch_times: list[list[float]] = [[] for _ in inputs]
    started, rounds = time.perf_counter(), 0
    while rounds < ROUNDS and (rounds < MIN_ROUNDS or time.perf_counter() - started < SECONDS * len(inputs)):
        for index, (model, single, batch) in enumerate(inputs):
            batch_times[index].append(_seconds(model, batch))
            single_times[index] += [_seconds(model, single) for _ in range(SINGLES)]
        rounds += 1
    costs = [
        _cost(model, single, batch_times[index], single_times[index]) for index, (model, single, _) in enumerate(inputs)
    ]
    return costs, _measurement(inputs[0][0].device if inputs else torch.device("cpu"), rounds)


def _cost(
    model: PreTrainedModel, single: torch.Tensor, batch_times: Sequence[float], single_times: Sequence[float]
) -> ModelCost:
    low, high = (1e3 * float(value) for value in np.quantile(single_times, [0.25, 0.75]))
    height, width = single.shape[-2:]
    return ModelCost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        gflops=count_flops(model, single) / 1e9,
        image_size=(int(height), int(width)),
        images_per_second=BATCH_SIZE / statistics.median(batch_times),
        latency_ms=1e3 * statistics.median(single_times),
        latency_ms_quartiles=(low, high),
    )


def _measurement(device: torch.device, rounds: int) -> Measurement:
    names = hardware(device)
    on_cpu = device.type == "cpu"
    return Measurement(
        device=str(names["cpu"] if on_cpu else names["device"]),
        threads=torch.get_num_threads() if on_cpu else None,
        batch_size=BATCH_SIZE,
        rounds=rounds,
        torch=torch.__version__,
    )


@torch.inference_mode()
def _seconds(model: PreTrainedModel, pixels: torch.Tensor) -> float:
    """Return the time of one forward pass."""
    _synchronize(pixels.device)
    started = time.perf_counter()
    model(pixels)
    _synchronize(pixels.device)
    return time.perf_counter() - started


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)

"""Training and features at 224 pixels in bfloat16, against loops over batches that are on the device already."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks import package, stock
from benchmarks.measuring import Comparison, Timed, quiet, require
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting

RESNET_RATE, VIT_RATE = 12_000, 2_500  # images/s, asked for on one H100
SHARE = 0.95  # of the synthetic loop


@dataclass(frozen=True)
class _Network:
    name: str
    model: PreTrainedModel
    processor: Any
    optimizer: str
    learning_rate: float
    rate: float

    def optimizer_of(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """Return the synthetic loop's optimizer, in its quickest form."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(model.parameters(), lr=self.learning_rate, momentum=stock.MOMENTUM, fused=True)
        return torch.optim.AdamW(model.parameters(), lr=self.learning_rate, weight_decay=0.0, fused=True)


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the rows of both networks."""
    side = setting.side_or(224)
    images = package.Images.load(setting.dataset, setting.images)
    make_resnet = package.mini_resnet if setting.quick else package.resnet18
    resnet, processor = make_resnet(setting, images.label_names)
    vit, vit_processor = package.vit(setting, side, images.label_names)
    names = ("mini ResNet-18", "tiny ViT") if setting.quick else ("ResNet-18", "ViT-B/16")
    for network in (
        _Network(names[0], resnet, package.at_size(processor, side), "sgd", 0.001, RESNET_RATE),
        _Network(names[1], vit, package.at_size(vit_processor, side), "adamw_torch_fused", 1e-5, VIT_RATE),
    ):
        yield from _training(setting, network, images, side)
        yield _features(setting, network, images, side)


def _training(setting: Setting, network: _Network, images: package.Images, side: int) -> Iterator[Row]:
    batch = 16 if setting.quick else 256
    steps = max(4, -(-setting.images // batch))
    skip = max(1, steps // 10)
    counted = (steps - skip) * batch
    first = copy.deepcopy(network.model.state_dict())
    data = package.training_images(images.train, network.processor, steps * batch)
    pixels, labels = _batch(setting, batch, side, len(images.label_names))
    alone: Any = _channels_last(network.model)
    loop: Any = torch.compile(alone) if setting.torch_compile else alone
    options = {
        "bf16": True,
        "optim": network.optimizer,
        "learning_rate": network.learning_rate,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "torch_compile": setting.torch_compile,
    }

    def ours() -> Timed:
        network.model.load_state_dict(first)
        with quiet():
            seconds = package.train_steps(
                setting, network.model, data, batch, options, skip=skip, frozen_statistics=False
            )
        return Timed(seconds, steps)

    def theirs() -> Timed:
        alone.load_state_dict(first)
        optimizer = network.optimizer_of(alone)
        return Timed(stock.bare_steps(loop, pixels, labels, steps, optimizer, True, skip), steps)

    rows = Comparison(
        "gpu",
        f"{network.name} training at {side} px in bf16, batches of {batch}, {steps} steps from images of the dataset "
        "with --augment standard",
        "synthetic loop: one batch that is on the device, same network, optimizer, clipping and steps",
        "value",
        ours,
        theirs,
        lambda own, others: require(own == others, f"{own[-1]} steps each; the synthetic pixels are noise"),
        Goal(">=", network.rate),
        unit="images/s",
        sample=lambda seconds: counted / seconds,
    ).measure(setting.rounds)
    yield rows
    # Of rates the share is ours over the baseline's.
    yield replace(rows, kind="share", goal=Goal(">=", SHARE))


def _features(setting: Setting, network: _Network, images: package.Images, side: int) -> Row:
    batch = 16 if setting.quick else 256
    count = len(images.train)
    pixels, _ = _batch(setting, batch, side, len(images.label_names))
    model: Any = _channels_last(network.model)
    model.eval()

    def ours() -> int:
        with quiet():
            return package.fill_cache(setting.new_folder("features"), images.train, model, network.processor)

    @torch.inference_mode()
    def theirs() -> int:
        for begin in range(0, count, batch):
            model(pixels[: count - begin])
        stock.synchronize()
        return count

    return Comparison(
        "gpu",
        f"{network.name} feature pass at {side} px over {count:,} images of the dataset",
        "synthetic loop: forward passes in float32 over one batch that is on the device",
        "share",
        ours,
        theirs,
        lambda own, others: require(own == others, f"{own[-1]:,} images each; the synthetic pixels are noise"),
        unit="images/s",
        sample=lambda seconds: count / seconds,
    ).measure(setting.rounds)


def _batch(setting: Setting, batch: int, side: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(batch, 3, side, side, generator=generator).to(setting.device)
    return pixels.contiguous(memory_format=torch.channels_last), (torch.arange(batch) % classes).to(setting.device)


def _channels_last(model: torch.nn.Module) -> Any:
    """Return a copy whose convolutions have the layout that suits GPUs best."""
    return torch.nn.Module.to(copy.deepcopy(model), memory_format=torch.channels_last)

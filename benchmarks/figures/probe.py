"""A probe of 20 epochs, against the plain loop through the frozen backbone and against single passes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks import package, stock
from benchmarks.measuring import Comparison, quiet, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

EPOCHS = 20
CLOSE = 1e-4  # of features, relative to the largest


class _Probe:
    """Both sides, on the same images with the same backbone."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.side = setting.side_or(64)
        self.epochs = 2 if setting.quick else EPOCHS
        self.images = package.Images.load(setting.dataset, setting.images)
        self.model, processor = package.resnet18(setting, self.images.label_names)
        self.processor = package.at_size(processor, self.side)
        self.backbone = stock.backbone(self.model.network.state_dict(), setting.device)  # type: ignore[union-attr]
        self.rate = 0.0
        self.seed = 0
        preprocessing = stock.Preprocessing.of(self.processor)
        workers = setting.stock_workers
        self.train, self.validation, self.held_out = (
            stock.Pictures(package.contents(part), part.targets, preprocessing.evaluation())
            for part in (self.images.train, self.images.validation, self.images.held_out)
        )

        self.shuffled = stock.loader(self.train, BATCH, workers, shuffle=True)
        self.in_order = [stock.loader(part, BATCH, workers) for part in (self.train, self.validation)]

    @property
    def what(self) -> str:
        """Return the sizes in words."""
        return f"{len(self.train):,} images and {len(self.validation):,} for validation, {self.side} px"

    def cached(self) -> dict[str, Any]:
        """Probe by the package, from an empty cache."""
        with quiet():
            answer = package.probe(self.setting, self.images, self.model, self.processor, self.epochs)
        self.rate = answer["learning_rate"]
        return answer

    def loop(self) -> dict[str, Any]:
        """Train a head in the plain loop, at the rate that the package's probe has found."""
        self.seed += 1
        return stock.probe(
            self.backbone,
            self.shuffled,
            self.in_order[1],
            len(self.images.label_names),
            self.epochs,
            self.rate / 4,  # for batches of 64 instead of 256
            self.seed,
        )

    def one_pass(self) -> torch.Tensor:
        """Compute the features of train and validation once, in plain PyTorch."""
        return torch.cat([stock.features(self.backbone, part, self.setting.device) for part in self.in_order])

    def same_accuracy(self, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
        """Compare the heads on images that no side has seen."""
        values = stock.features(self.backbone, stock.loader(self.held_out, BATCH), self.setting.device)
        labels = torch.tensor(self.held_out.labels)
        own, others = (
            sorted(
                float((values @ head["weight"].T + head["bias"]).argmax(1).eq(labels).float().mean()) for head in heads
            )
            for heads in (ours, theirs)
        )
        middle = own[len(own) // 2]
        error = (others[0] * (1 - others[0]) / len(labels)) ** 0.5
        return require(
            self.setting.quick or middle >= others[0] - error,
            f"accuracy on {len(labels)} held-out images {middle:.1%}, of the loop {others[0]:.1%} to {others[-1]:.1%} "
            f"over {len(others)} seeds (one standard error {error:.1%})"
            + ("; too few epochs to ask for more" if self.setting.quick else ""),
        )

    def same_features(self, ours: list[Any], theirs: list[torch.Tensor]) -> str:
        """Compare the features of the package with those of plain PyTorch."""
        folder = self.setting.new_folder("features")
        with quiet():
            parts = [
                package.features(folder, part, self.model, self.processor)
                for part in (self.images.train, self.images.validation)
            ]
        return close(np.concatenate(parts), theirs[-1].numpy())


def close(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Say how far features are apart, relative to the largest; more than 1e-4 is not the same."""
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    return require(
        difference <= CLOSE, f"features apart by {difference:.1e} of the largest at most (allowed {CLOSE:g})"
    )


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the rows of the probe."""
    both = _Probe(setting)
    epochs = f"{both.epochs} epochs"
    yield Comparison(
        "probe",
        f"probe of {epochs}, {both.what}",
        f"plain PyTorch loop of {epochs} through the frozen backbone, PIL and torchvision an image; at the rate that "
        "our grid of rates has found",
        "faster",
        both.cached,
        both.loop,
        both.same_accuracy,
        Goal(">=", 19),
    ).measure(setting.rounds)
    yield Comparison(
        "probe",
        f"probe of {epochs}, {both.what}",
        "one bare forward pass over the same images by PyTorch, PIL and torchvision an image",
        "share",
        both.cached,
        both.one_pass,
        both.same_features,
        Goal("<=", 0.9),
    ).measure(setting.rounds)
    ready = [list(part) for part in both.in_order]
    yield Comparison(
        "probe",
        f"probe of {epochs}, {both.what}",
        "one bare forward pass over the same images by PyTorch, tensors in memory",
        "share",
        both.cached,
        lambda: torch.cat([stock.features(both.backbone, part, setting.device) for part in ready]),  # type: ignore[arg-type]
        both.same_features,
    ).measure(setting.rounds)

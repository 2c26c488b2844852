"""The input of evaluation at 224 pixels, against PIL and torchvision an image."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks import package, stock
from benchmarks.measuring import Comparison, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting
from hf_cifar.data.images import LabeledImages

PHOTO = (500, 375)  # pixels, as the photos of ImageNet are on average


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the rows for the dataset's images, and for photos."""
    side = setting.side_or(224)
    images = package.Images.load(setting.dataset, setting.images)
    yield from _rows(setting, images, side, "images of the dataset")
    folder = write_photos(setting.new_folder("photos"), 20 if setting.quick else max(125, setting.images // 4))
    yield from _rows(setting, package.Images.load(str(folder), 10**9), side, f"JPEG photos of {PHOTO[0]} px")


def write_photos(folder: Path, count: int) -> Path:
    """Write smooth random images as JPEG files of two classes, and return the folder."""
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / "train" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize(PHOTO, Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)
    return folder


def _rows(setting: Setting, images: package.Images, side: int, what: str) -> Iterator[Row]:
    decoded = package.decoded(images.train, setting.new_folder("decoded"))
    _, processor = package.resnet18(setting, images.label_names)
    processor = package.at_size(processor, side)
    chosen = images.train
    preprocessing = stock.Preprocessing.of(processor)
    pictures = stock.Pictures(package.contents(chosen), chosen.targets, preprocessing.evaluation())

    def ours(images: LabeledImages) -> torch.Tensor:
        return _first(package.batches(images, processor))

    cores = os.cpu_count() or 1
    loaders = {workers: stock.loader(pictures, BATCH, workers) for workers in (0, cores)}

    def theirs(workers: int) -> torch.Tensor:
        return _first(pixels for pixels, _ in loaders[workers])

    def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> str:
        levels = 255 * torch.tensor(preprocessing.std)[:, None, None]
        apart = float(((ours[-1] - theirs[-1]).abs() * levels).max())
        return require(apart <= 1.01, f"pixels apart by {apart:.2f} of 255 levels at most (allowed 1)")

    name = f"input at {side} px, {len(chosen):,} {what}"
    baseline = "PIL and torchvision an image, DataLoader"
    kinds = ((f"{name}, from files", chosen), (f"{name}, decoded before", decoded))
    for title, source in kinds:
        yield Comparison(
            "input",
            title,
            f"{baseline} in the same process",
            "faster",
            partial(ours, source),
            lambda: theirs(0),
            same,
            Goal(">=", 3),
        ).measure(setting.rounds)
    yield Comparison(
        "input",
        f"{name}, from files, against {cores} processes",
        f"{baseline} with {cores} worker processes",
        "faster",
        lambda: ours(chosen),
        lambda: theirs(cores),
        same,
    ).measure(setting.rounds)


def _first(batches: Iterable[torch.Tensor]) -> torch.Tensor:
    """Take all batches, one after another, and return the first images."""
    iterator = iter(batches)
    first = next(iterator)[:16].clone()
    for _ in iterator:
        pass
    return first

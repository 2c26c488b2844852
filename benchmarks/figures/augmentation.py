"""The input of training with augmentation, and augmentation alone."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from benchmarks import package, stock
from benchmarks.measuring import Comparison, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

SIDE = 32  # pixels, of the images that are augmented alone
ALONE = {"standard": Goal("<=", 40), "trivial": Goal("<=", 300)}  # microseconds an image


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the row for the whole input, and those for each augmentation alone."""
    yield _whole_input(setting)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, goal in ALONE.items():
            yield _alone(setting, name, goal)
    finally:
        torch.set_num_threads(threads)


def _whole_input(setting: Setting) -> Row:
    images = package.Images.load(setting.dataset, setting.images)
    side = setting.side_or(64)
    processor = package.at_size(package.resnet18(setting, images.label_names)[1], side)
    contents = package.contents(images.train)
    preprocessing = stock.Preprocessing.of(processor)
    size = stock.opened(contents[0]).size
    pictures = stock.Pictures(contents, images.train.targets, preprocessing.training(size))
    seeds = iter(range(10**6))
    cached = package.decoded(images.train, setting.new_folder("decoded"))

    def ours() -> torch.Tensor:
        batches = package.training_batches(cached, processor, "standard", next(seeds))
        first = next(batches)[:4].clone()
        for _ in batches:
            pass
        return first

    def theirs() -> None:
        for _ in stock.loader(pictures, BATCH):
            pass

    def same(ours: list[torch.Tensor], theirs: list[None]) -> str:
        first = [stock.opened(content) for content in contents[:4]]
        levels = 255 * torch.tensor(preprocessing.std)[:, None, None]
        apart, count = 0.0, 0
        for row, image in enumerate(first):
            possible = every_crop(image, preprocessing)
            for batch in ours[-2:]:
                apart = max(apart, float(((possible - batch[row]).abs() * levels).amax((1, 2, 3)).min()))
                count += 1
        return require(
            apart <= 1.01,
            f"each of {count} augmented images is one that torchvision's crop and flip can make, apart by {apart:.2f} "
            "of 255 levels at most (allowed 1)",
        )

    return Comparison(
        "augmentation",
        f"training input with --augment standard, {len(contents):,} images at {side} px",
        "torchvision's RandomCrop with padding, flip, resize, normalisation an image, DataLoader in the same process",
        "faster",
        ours,
        theirs,
        same,
        Goal(">=", 4),
    ).measure(setting.rounds)


def every_crop(image: Image.Image, preprocessing: stock.Preprocessing) -> torch.Tensor:
    """Return the network's input for every shift and flip of an image by the stock transforms."""
    width, height = image.size
    across, down = round(width / 8), round(height / 8)
    padded = Image.new("RGB", (width + 2 * across, height + 2 * down))
    padded.paste(image, (across, down))
    change = preprocessing.evaluation()
    made = []
    for left in range(2 * across + 1):
        for top in range(2 * down + 1):
            crop = padded.crop((left, top, left + width, top + height))
            made += [change(crop), change(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]
    return torch.stack(made)


def _alone(setting: Setting, name: str, goal: Goal) -> Row:
    count = setting.images
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8))
    stock_change = v2.Compose(
        [v2.RandomCrop(SIDE, padding=SIDE // 8), v2.RandomHorizontalFlip()]
        + ([v2.TrivialAugmentWide()] if name == "trivial" else [])
    )
    seeds = iter(range(10**6))

    def ours() -> torch.Tensor:
        seed = next(seeds)
        rows = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
        return torch.cat([package.augment(name, pixels[some.start : some.stop], some, seed) for some in rows])

    def theirs() -> torch.Tensor:
        return torch.stack([stock_change(image) for image in pixels])

    def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> str:
        """Compare the mean level over all images, whose padding and operations change it: a coarse check."""
        means = [torch.stack([images.float().mean((1, 2, 3)) for images in side]) for side in (ours, theirs)]
        own, others = (float(side.mean()) for side in means)
        error = float(sum(side.var() / side.numel() for side in means) ** 0.5)
        return require(
            abs(own - others) <= 5 * error,
            f"mean level {own:.2f} and {others:.2f} (standard error {error:.2f}); the distributions are compared by "
            "the tests",
        )

    return Comparison(
        "augmentation",
        f"--augment {name} alone, {count:,} images of {SIDE} px, one thread",
        "torchvision's v2 transforms an image",
        "value",
        ours,
        theirs,
        same,
        goal,
        unit="µs an image",
        sample=lambda seconds: seconds / count * 1e6,
    ).measure(setting.rounds)

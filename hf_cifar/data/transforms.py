"""From images to the network's input: the image processor, and augmentation in front of it for training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from hf_cifar.data.augmentation.augmentation import Augmentation
from hf_cifar.data.augmentation.draws import Draws
from hf_cifar.data.batch_processor import BatchProcessor
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.splits import stratified_choice

# Of PIL, or uint8 [height, width, 3].
Picture = Image.Image | np.ndarray
CIFAR10 = "uoft-cs/cifar10"
# Over all pixels of CIFAR-10's 50,000 training images.
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)
STATISTICS_IMAGES = 5_000


class Transform:
    """Maps images to the network's input, in two steps that may happen in different places.

    `prepare` collects decoded pixels and draws what augmentation does to them: on the CPU, in a loader's worker.
    `finish` augments them, calls the saved image processor and mixes: there too, or on an accelerator, which then gets
    a byte for each pixel instead of four. Without augmentation the pixels are those of the processor itself, as
    `pipeline` has them; nothing of it is rebuilt.

    Args:
        processor: a `transformers` image processor.
        augmentation: of training images; default: none.
    """

    def __init__(self, processor: Any, augmentation: Augmentation | None = None) -> None:
        self.processor = processor
        self.augmentation = augmentation or Augmentation()
        self._process = BatchProcessor(processor)
        # In shared memory, so that the workers of a loader that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """Return the epoch that the augmentation draws for."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        """Set the epoch that the augmentation draws for."""
        self._epoch.fill_(epoch)

    def __call__(self, images: Sequence[Picture], rows: Sequence[int]) -> torch.Tensor:
        """Return the network's input for RGB images, without mixing, float32 [n, 3, height, width].

        Args:
            images: n of any sizes.
            rows: of the images in their split, n; they select the draws of the augmentation.
        """
        return self._pixels(self.prepare(images, rows))

    def prepare(self, images: Sequence[Picture], rows: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """Return decoded images, in groups of one size, and what augmentation does to them.

        Args:
            images: RGB, n of any sizes.
            rows: of the images in their split, n.

        Returns:
            `images`, uint8 [k, 3, height, width] for each group; `drawn` for each group; `order`, int64 [n], the place
            of each image in the groups one after another, None for one group; and, where they are used, the draws of
            `erasing` and of `mixing`.
        """
        arrays = [np.asarray(image) for image in images]
        sizes: dict[tuple[int, ...], list[int]] = {}
        for place, array in enumerate(arrays):
            sizes.setdefault(array.shape, []).append(place)
        rows = np.asarray(rows, dtype=np.int64)
        draws = Draws(self.augmentation.seed, self.epoch, rows)
        batch: dict[str, Any] = {"images": [], "drawn": [], "order": None}
        for (height, width, _), places in sizes.items():
            stacked = torch.from_numpy(np.stack([arrays[place] for place in places]))
            # Channels first only in name: resizing is faster in the order of decoded images.
            batch["images"].append(stacked.permute(0, 3, 1, 2))
            group = draws if len(sizes) == 1 else replace(draws, rows=rows[places])
            batch["drawn"].append(self.augmentation.draw(group, height, width))
        if len(sizes) > 1:
            batch["order"] = torch.from_numpy(np.argsort(np.concatenate(list(sizes.values()))))
        if self.augmentation.erasing is not None:
            batch["erasing"] = self.augmentation.erasing.draw(draws)
        if self.augmentation.mixing is not None:
            # The first image is only the partner of the second.
            batch["mixing"] = self.augmentation.mixing.draw(replace(draws, rows=rows[1:]))
        return batch

    def finish(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Return what the network and its loss take: `pixel_values`, `labels`, and, where images are mixed, `targets`.

        Args:
            batch: of `prepare`, with `labels` int64 [n]; with mixing also `partner`, int64 [1], the label of the image
                in front of them. On any device.
        """
        pixels, labels = self._pixels(batch), batch["labels"]
        if "mixing" not in batch:
            return {"pixel_values": pixels, "labels": labels}
        assert self.augmentation.mixing is not None
        everything = torch.cat([batch["partner"], labels])
        mixed, targets = self.augmentation.mixing.apply(pixels, everything, batch["mixing"])
        return {"pixel_values": mixed, "labels": labels, "targets": targets}

    def _pixels(self, batch: Mapping[str, Any]) -> torch.Tensor:
        groups = zip(batch["images"], batch["drawn"], strict=True)
        parts = [self._process(self.augmentation.apply(images, drawn)) for images, drawn in groups]
        pixels = parts[0] if batch["order"] is None else torch.cat(parts)[batch["order"]]
        if "erasing" in batch:
            assert self.augmentation.erasing is not None
            pixels = self.augmentation.erasing.apply(pixels, batch["erasing"])
        return pixels


def dataset_statistics(train: LabeledImages, dataset: str, seed: int) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel over the training images, in [0, 1].

    Those of CIFAR-10 from the Hub are the published ones; others are measured on up to 5,000 images.

    Args:
        train: the training images.
        dataset: the source's name, a Hub id where it is from the Hub.
        seed: of the choice of images to measure.

    Returns:
        Means and standard deviations, three each.
    """
    if dataset == CIFAR10:
        return list(CIFAR10_MEAN), list(CIFAR10_STD)
    chosen = stratified_choice(train.targets, min(STATISTICS_IMAGES, len(train)), seed)
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for position in chosen:
        pixels = np.asarray(train.decode([position])[0], dtype=np.float64).reshape(-1, 3) / 255
        count, total, squares = count + len(pixels), total + pixels.sum(0), squares + (pixels**2).sum(0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-6))
    return [round(float(value), 4) for value in mean], [round(float(value), 4) for value in std]

"""From images to the network's input: the image processor, and augmentation in front of it for training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from hf_cifar.data.augmentation import augmentation_for, drawn_by
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.splits import stratified_choice

CIFAR10 = "uoft-cs/cifar10"
# Over all pixels of CIFAR-10's 50,000 training images.
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)
STATISTICS_IMAGES = 5_000


class Transform:
    """Maps images to the network's input.

    Without augmentation it calls the saved image processor itself, as `pipeline` does; nothing of it is rebuilt.

    Args:
        processor: a `transformers` image processor.
        augmentation: applied before the processor, to uint8 tensors [3, height, width].
        random_erasing: probability that a rectangle of the processor's tensor is set to 0, the mean colour.
        seed: with the epoch and the image's row it determines every random draw, however many workers there are and
            wherever training was resumed.
    """

    def __init__(
        self, processor: Any, augmentation: str = "none", seed: int = 0, *, random_erasing: float = 0.0
    ) -> None:
        self.processor = processor
        self.augmentation = augmentation
        self.erase = v2.RandomErasing(random_erasing) if random_erasing else None
        self.seed = seed
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

    def __call__(self, images: Sequence[Image.Image], rows: Sequence[int]) -> torch.Tensor:
        """Return the network's input for RGB images, float32 [n, 3, height, width].

        Args:
            images: n of any sizes.
            rows: of the images in their split, n; they select the draws of the augmentation.
        """
        tensors = [v2.functional.pil_to_tensor(image) for image in images]
        if self.augmentation != "none":
            for index, row in enumerate(rows):
                augment = augmentation_for(self.augmentation, *tensors[index].shape[-2:])
                with drawn_by(self.seed, self.epoch, row):
                    tensors[index] = augment(tensors[index])
        pixels: torch.Tensor = self.processor(images=tensors, return_tensors="pt")["pixel_values"]
        if self.erase is not None:
            for index, row in enumerate(rows):
                with drawn_by(self.seed, self.epoch, row, 1):
                    pixels[index] = self.erase(pixels[index])
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

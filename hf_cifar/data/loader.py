"""Batches of images, decoded and transformed together."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.transforms import Transform


class ImageDataset(Dataset):
    """Images as the network sees them, a batch at a time.

    `__getitems__` hands a loader one finished batch, so that the processor works on all its images at once;
    the collator has nothing left to do (`as_is`).
    """

    def __init__(self, images: LabeledImages, transform: Transform) -> None:
        self.images = images
        self.transform = transform
        self.labels = torch.from_numpy(images.targets)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> dict[str, Any]:
        batch = self.__getitems__([position])
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        """A batch: `pixel_values` float32 [n, 3, height, width] and `labels` int64 [n]."""
        wanted = list(positions)
        pixels = self.transform(self.images.decode(wanted), self.images.index[wanted].tolist())
        return {"pixel_values": pixels, "labels": self.labels[wanted]}

    def set_epoch(self, epoch: int) -> None:
        """Let the augmentation draw anew, as it does in this epoch."""
        self.transform.epoch = epoch


def as_is(batch: Any) -> Any:
    """The collator of datasets that hand out finished batches."""
    return batch


def default_workers(device: torch.device) -> int:
    """Loader processes that pay off: none on the CPU, where they would compete with the network for its cores."""
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def in_order(images: LabeledImages, transform: Transform, batch_size: int, workers: int) -> Iterator[torch.Tensor]:
    """The pixel values of every image once, in order, in batches."""
    dataset = ImageDataset(images, transform)
    for batch in DataLoader(dataset, batch_size, collate_fn=as_is, num_workers=workers):
        yield batch["pixel_values"]

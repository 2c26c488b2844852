"""Batches of images, decoded and transformed together."""

import atexit
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from hf_cifar.data.augmentation import Mixing
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.transforms import Transform

PADDING_LABEL = -100  # what `cross_entropy` and `Trainer` leave out


class ImageDataset(Dataset):
    """Images as the network sees them, a batch at a time.

    `__getitems__` hands a loader one finished batch, so that the processor works on all its images at once;
    the collator has nothing left to do (`as_is`).

    Args:
        images: with their labels.
        transform: images to tensors.
        mixing: MixUp and CutMix over each batch.
    """

    def __init__(self, images: LabeledImages, transform: Transform, mixing: Mixing | None = None) -> None:
        self.images = images
        self.transform = transform
        self.mixing = mixing
        self.labels = torch.from_numpy(images.targets)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> dict[str, Any]:
        batch = self.__getitems__([position])
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        """A batch: `pixel_values` float32 [n, 3, height, width] and `labels` int64 [n].

        With mixing also `targets` float32 [n, classes], what the network is to answer.
        """
        _leave_signals_to_main_process()
        wanted, labels = take(positions, self.labels)
        numbers = self.images.index[wanted].tolist()
        batch = {"pixel_values": self.transform(self.images.decode(wanted), numbers), "labels": labels}
        if self.mixing is not None:
            batch["pixel_values"], batch["targets"] = self.mixing(
                batch["pixel_values"], labels, numbers, self.transform.epoch
            )
        return batch

    def set_epoch(self, epoch: int) -> None:
        """Let the augmentation draw anew, as it does in this epoch."""
        self.transform.epoch = epoch


class TrainBatches(Sampler[list[int]]):
    """The order of the training images, batch by batch, and this process's part of each batch.

    The order is `torch.randperm(n, generator=torch.Generator().manual_seed(seed + epoch))`. Each batch is divided
    among the processes, so that together they take the steps that one process takes. A process for which nothing is
    left of the last batch gets one of its images as padding: a position p as ~p, which `take` gives `PADDING_LABEL`.

    Args:
        total: number of images.
        batch_size: of all processes together.
        seed: of the order.
        rank, processes: which process this is, of how many.
        drop_last: leave out a last batch that is not full.
    """

    def __init__(
        self, total: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1, drop_last: bool = False
    ) -> None:
        self.total = total
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.drop_last = drop_last and total >= batch_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.total // self.batch_size if self.drop_last else -(-self.total // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self.total, generator=torch.Generator().manual_seed(self.seed + self.epoch))
        for batch in order.split(self.batch_size)[: len(self)]:
            part = batch.tensor_split(self.processes)[self.rank]
            yield part.tolist() or [~int(batch[0])]

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass have the order of this epoch."""
        self.epoch = epoch


def take(positions: Sequence[int], labels: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
    """The positions that a batch of `TrainBatches` means, and their labels; that of padding is `PADDING_LABEL`.

    Args:
        positions: n of them; ~p for padding.
        labels: int64, of all images.

    Returns:
        int64 [n] and int64 [n].
    """
    given = np.asarray(positions, dtype=np.int64)
    wanted = np.where(given < 0, ~given, given)
    return wanted, labels[wanted].masked_fill(torch.from_numpy(given < 0), PADDING_LABEL)


@atexit.register
def _end_workers() -> None:
    """At the end of the main process, end what it would otherwise wait for: a worker that SIGTERM does not reach."""
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


def _leave_signals_to_main_process() -> None:
    """Let a loader's worker live through Ctrl-C, which reaches it too: the main process ends it after a checkpoint."""
    if get_worker_info() is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


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

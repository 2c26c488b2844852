"""Batches of images, decoded and transformed together, in this process or in worker processes."""

import atexit
import copy
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from hf_cifar.data.balanced_order import balanced_order
from hf_cifar.data.images import CorruptImageError, LabeledImages
from hf_cifar.data.transforms import Transform
from hf_cifar.utils.processes import usable_cores

PADDING_LABEL = -100  # what `cross_entropy` and `Trainer` leave out


class ImageDataset(Dataset):
    """The network's inputs with their labels, a batch at a time.

    `__getitems__` returns one batch, so that everything works on all its images at once; the collator has nothing left
    to do (`as_is`).

    Args:
        images: with their labels.
        transform: images to tensors.
        finished: return what the network takes; otherwise what `Transform.finish` takes, to be called on the device.
    """

    def __init__(self, images: LabeledImages, transform: Transform, *, finished: bool = True) -> None:
        self.images = images
        self.transform = transform
        self.finished = finished
        self.labels = torch.from_numpy(images.targets)

    @property
    def mixes(self) -> bool:
        """Return whether a batch needs an image in front of it, to be mixed with its first one."""
        return self.transform.augmentation.mixing is not None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch = self.__getitems__([index])
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Return a batch: `pixel_values` float32 [n, 3, height, width] and `labels` int64 [n].

        With mixing also `targets` float32 [n, classes], the target distributions, and the indices are n + 1.
        """
        chosen, labels = take(indices, self.labels)
        # A repeated image is augmented by draws of its own: beyond the 32 bits of any row.
        rows = self.images.index[chosen] + (repetitions(indices, len(self)) << 32)
        batch = self.transform.prepare(self.images.pixels(chosen), rows)
        if self.mixes:
            batch["partner"], labels = labels[:1], labels[1:]
        batch["labels"] = labels
        return self.transform.finish(batch) if self.finished else batch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the augmentation draws for."""
        self.transform.epoch = epoch


class TrainBatches(Sampler[list[int]]):
    """The shuffled order of the training images, batch by batch, and this process's part of each batch.

    The order is `torch.randperm(n, generator=torch.Generator().manual_seed(seed + epoch))`. Each batch is divided
    among the processes, so that together they take the steps that one process takes. A process that gets nothing of
    the last batch receives one of its images as padding: an index i as ~i, which `take` labels `PADDING_LABEL`.

    Args:
        total: number of images.
        batch_size: of all processes together.
        seed: of the order.
        rank, processes: which process this is, of how many.
        drop_last: leave out a last batch that is not full.
        with_previous: put the image before its part in the epoch's order in front of each; the last one of the epoch is
            before the first.
        balanced: the labels, int64 [total], where every class is to be shown equally often: the order is then that of
            `balanced_order`, in which an image may come several times.
    """

    def __init__(
        self,
        total: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        drop_last: bool = False,
        with_previous: bool = False,
        balanced: torch.Tensor | None = None,
    ) -> None:
        self.total = total
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.drop_last = drop_last and total >= batch_size
        self.with_previous = with_previous
        self.balanced = balanced
        self.epoch = 0

    def __len__(self) -> int:
        return self.total // self.batch_size if self.drop_last else -(-self.total // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed((self.seed + self.epoch) % 2**64)
        if self.balanced is None:
            order = torch.randperm(self.total, generator=generator)
        else:
            order = balanced_order(self.balanced, generator)
        for number, batch in enumerate(order.split(self.batch_size)[: len(self)]):
            part = batch.tensor_split(self.processes)[self.rank]
            first = number * self.batch_size + sum(map(len, batch.tensor_split(self.processes)[: self.rank]))
            previous = [int(order[first - 1])] if self.with_previous else []
            yield previous + (part.tolist() or [~int(batch[0])])

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order the next pass has."""
        self.epoch = epoch


def take(indices: Sequence[int], labels: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
    """Resolve the indices in a batch of `TrainBatches`: ~i is padding with image i, i + r N the r-th repetition of i.

    Args:
        indices: n of them.
        labels: int64 [N], of all images.

    Returns:
        The images' indices, int64 [n], and their labels, int64 [n], `PADDING_LABEL` for padding.
    """
    given = np.asarray(indices, dtype=np.int64)
    chosen = np.where(given < 0, ~given, given) % len(labels)
    return chosen, labels[chosen].masked_fill(torch.from_numpy(given < 0), PADDING_LABEL)


def repetitions(indices: Sequence[int], total: int) -> np.ndarray:
    """Return which repetition within the epoch each index of a batch of `TrainBatches` is, from 0, int64 [n].

    Args:
        indices: n of them.
        total: number of images.
    """
    given = np.asarray(indices, dtype=np.int64)
    return np.where(given < 0, ~given, given) // total


def image_loader(dataset: Dataset, *, num_workers: int, **options: Any) -> DataLoader:
    """Return a loader whose workers survive Ctrl-C and SIGTERM, so that the main process can still save a checkpoint.

    Workers that still run when the main process exits are killed: they ignore the SIGTERM that would end them, and the
    process would wait for them forever.

    Args:
        dataset: returns finished batches, as `ImageDataset` does.
        num_workers: processes that load; 0 loads in this one.
        options: as of `DataLoader`.
    """
    if num_workers:
        # Arguments of DataLoader, and so handed on when accelerate copies a loader to skip its first batches.
        options.update(worker_init_fn=_ignore_signals, multiprocessing_context=_worker_context())
    return DataLoader(dataset, collate_fn=as_is, num_workers=num_workers, **options)


def _ignore_signals(_: int) -> None:
    """Leave Ctrl-C and SIGTERM, which a terminal or scheduler sends to workers too, to the main process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _worker_context() -> Any:
    """Return multiprocessing's default context, with processes that are killed at exit."""
    context: Any = copy.copy(multiprocessing.get_context())
    make = context.Process

    def make_watched(*args: Any, **kwargs: Any) -> BaseProcess:
        process: BaseProcess = make(*args, **kwargs)
        _WORKERS.watch(process)
        return process

    context.Process = make_watched
    return context


class _Workers:
    """Worker processes of this process's image loaders."""

    def __init__(self) -> None:
        self.owner: int | None = None
        self.processes: list[BaseProcess] = []

    def watch(self, process: BaseProcess) -> None:
        """Kill a worker at exit, if it still runs."""
        if self.owner != os.getpid():  # not the first worker, unless this process was forked from one that had some
            self.owner, self.processes = os.getpid(), []
            # Registered after multiprocessing's own handler, which waits for the workers, and so called before it.
            atexit.register(self.kill)
        self.processes = [known for known in self.processes if known.exitcode is None] + [process]

    def kill(self) -> None:
        """Kill the workers that still run."""
        if self.owner == os.getpid():
            if hasattr(signal, "SIGCHLD"):
                # torch's handler would raise an error for each of them.
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for process in self.processes:
                if process.is_alive():
                    process.kill()


_WORKERS = _Workers()


class WorkersReleased(AbstractContextManager[None]):
    """Lets an image that cannot be read end the loader's workers at once.

    The error that torch raises for a worker refers to itself through its traceback. Only the garbage collector ends
    such a circle, and it closes the queues of the loader first, so that torch waits 10 seconds for each worker.
    """

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        """Raise the error without the frames in which torch raised it."""
        if isinstance(error, CorruptImageError):
            try:
                raise error.with_traceback(None)
            finally:
                del error, traceback  # this frame is in the new traceback


def as_is(batch: Any) -> Any:
    """Return a batch unchanged: the collator of datasets that return finished batches."""
    return batch


def default_workers(device: torch.device) -> int:
    """Return how many loader processes pay off: none on the CPU, where they compete with the network for cores."""
    return 0 if device.type == "cpu" else min(8, usable_cores())


def in_order(images: LabeledImages, transform: Transform, batch_size: int, workers: int) -> Iterator[torch.Tensor]:
    """Yield the network's inputs for every image, in order and in batches, float32 [n, 3, height, width]."""
    dataset = ImageDataset(images, transform)
    with WorkersReleased():
        for batch in image_loader(dataset, batch_size=batch_size, num_workers=workers):
            yield batch["pixel_values"]

"""The processes of a run under `torchrun` or `accelerate launch`; a single one otherwise.

Light: rank and number of processes are read from the environment, before torch is imported.
"""

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


def rank() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", 0))


def count() -> int:
    """Return the number of processes of the run."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Return whether this is the process that writes files and log lines."""
    return rank() == 0


def join(use_cpu: bool = False) -> None:
    """Join the other processes of `torchrun` or `accelerate launch`, where a stage does not make a `Trainer` that does.

    Args:
        use_cpu: compute on the CPU even where there is an accelerator.
    """
    if count() > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=use_cpu or not torch.accelerator.is_available())


def wait_for_all() -> None:
    """Wait until every process has reached this point."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier()


def from_main(value: T) -> T:
    """Return the main process's value, of any picklable type."""
    if count() == 1:
        return value
    import torch.distributed

    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def gathered(values: "np.ndarray") -> "np.ndarray":
    """Return the rows of all processes, in the order of their ranks, in every process."""
    if count() == 1:
        return values
    import numpy as np
    import torch.distributed

    parts: list[np.ndarray | None] = [None] * count()
    torch.distributed.all_gather_object(parts, values)
    return np.concatenate([part for part in parts if part is not None])


def share(total: int) -> range:
    """Return this process's share of `total` items: contiguous, disjoint, and of sizes at most one apart."""
    size, rest = divmod(total, count())
    first = rank() * size + min(rank(), rest)
    return range(first, first + size + (rank() < rest))


def reading_threads() -> int:
    """Return the number of threads that read and decode images: one for each usable core, at most eight."""
    return min(8, usable_cores())


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""The processes that a run is shared by, under `torchrun` or `accelerate launch`; one where neither started it.

Light on purpose: who this process is can be read from its environment, before torch is imported.
"""

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", 0))


def count() -> int:
    """How many processes share the run."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is the process that writes files and speaks."""
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
    """Go on when every process has come here."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier()


def from_main(value: T) -> T:
    """The value that the main process has; any picklable one."""
    if count() == 1:
        return value
    import torch.distributed

    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def gathered(values: "np.ndarray") -> "np.ndarray":
    """The rows that each process has, in the order of the processes, in every process."""
    if count() == 1:
        return values
    import numpy as np
    import torch.distributed

    parts: list[np.ndarray | None] = [None] * count()
    torch.distributed.all_gather_object(parts, values)
    return np.concatenate([part for part in parts if part is not None])


def share(total: int) -> range:
    """Which of so many items are this process's: contiguous, every item in one process, sizes at most one apart."""
    size, rest = divmod(total, count())
    first = rank() * size + min(rank(), rest)
    return range(first, first + size + (rank() < rest))

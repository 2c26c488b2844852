"""Keep memory that was freed in this process, in place of giving it back to the system after every step."""

import ctypes
import os
from contextlib import suppress

# The parameters of glibc's `mallopt`, as malloc.h numbers them.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
MOST = 2**31 - 1  # bytes; `mallopt` takes an int
CHOSEN_OTHERWISE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Let glibc's allocator keep what is freed, for a process that trains or predicts; elsewhere nothing changes.

    A step allocates the same activations as the one before it. By default those beyond 32 MB, and what is free at the
    end of the heap beyond twice the largest of them, go back to the system, which has to clear every page of them again
    in the next step. The process then holds the most that it has ever used, until it ends.

    Returns:
        Whether it is kept. Not so without glibc, and where the environment already chooses (its thresholds, or another
        allocator by LD_PRELOAD).
    """
    if not has_glibc() or any(name in os.environ for name in CHOSEN_OTHERWISE):
        return False
    return set_thresholds(MOST, MOST)


def give_back_memory() -> None:
    """Give what is free back to the system once, so that what follows can be measured by itself."""
    if has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def set_thresholds(trim: int, mmap: int) -> bool:
    """Set from how many bytes free memory at the end of the heap, and single allocations, belong to the system."""
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(TRIM_THRESHOLD, trim), mallopt(MMAP_THRESHOLD, mmap)])


def has_glibc() -> bool:
    """Return whether glibc allocates for this process."""
    with suppress(AttributeError, ValueError, OSError):
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    return False

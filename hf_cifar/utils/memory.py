"""Measure the peak memory of a stage."""

import resource
import sys
from pathlib import Path

import torch

from hf_cifar.utils.allocator import give_back_memory

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """The most memory that was in use since this was made: of the GPU that computes, otherwise of this process.

    Args:
        device: that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_process_peak()

    @property
    def megabytes(self) -> float:
        """Return the peak in MiB."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        return _process_peak_mb()


def _reset_process_peak() -> None:
    """Let Linux count the peak of this process anew; elsewhere it stays that of the whole process."""
    give_back_memory()
    try:
        _CLEAR.write_text("5")  # see proc(5): resets the peak resident set size
    except OSError:
        return


def _process_peak_mb() -> float:
    try:
        lines = _STATUS.read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 2**10
    except (OSError, StopIteration, ValueError, IndexError):
        # Bytes on macOS, KiB elsewhere.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

"""The peak of a stage is its own, and not that of what ran before it in the process."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_cifar.utils.memory import PeakMemory

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux counts a peak anew")


def use(megabytes: int) -> None:
    block = np.ones(megabytes * 2**20, dtype=np.uint8)
    del block


@linux
def test_a_second_stage_does_not_report_the_peak_of_the_first():
    first = PeakMemory(torch.device("cpu"))
    use(400)
    high = first.megabytes
    second = PeakMemory(torch.device("cpu"))
    use(50)
    assert second.megabytes < high - 200, "old and new code differ here: ru_maxrss never falls"


def test_it_counts_what_is_used():
    memory = PeakMemory(torch.device("cpu"))
    before = memory.megabytes
    use(300)
    assert memory.megabytes >= before
    if sys.platform == "linux":
        assert memory.megabytes > before + 200


def test_a_gpu_that_does_not_compute_is_not_asked(monkeypatch):
    def refuse(*_):
        raise AssertionError("the GPU was asked although the CPU computes")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("max_memory_allocated", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, refuse)
    assert PeakMemory(torch.device("cpu")).megabytes > 0

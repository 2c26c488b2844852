"""Record what a result was computed on, and when: library versions, hardware, date."""

import functools
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.run.stage_metrics import Hardware

if TYPE_CHECKING:
    import torch

LIBRARIES = (
    "hf_cifar",
    "torch",
    "torchvision",
    "transformers",
    "datasets",
    "evaluate",
    "accelerate",
    "huggingface_hub",
    "scikit-learn",
    "numpy",
    "pillow",
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of every library that a result may depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


@functools.cache
def _version(name: str) -> str:
    from importlib.metadata import version  # a tenth of what --help takes, which reads no versions

    return version(name)


def moment() -> str:
    """Return date and time, in UTC, to the minute: `2026-03-01 14:05 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def hardware(device: "torch.device") -> Hardware:
    """Return the device that the network ran on, the CPU and its number of cores."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Hardware(name, _cpu_name(), os.cpu_count())


def _cpu_name() -> str:
    """Return the model name of the CPU where the system tells it, otherwise its architecture."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

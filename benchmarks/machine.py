"""Say on what a measurement was made: hardware, versions and the state of the code."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "torchvision", "transformers", "datasets", "accelerate", "numpy", "pillow", "onnxruntime")


@dataclass(frozen=True)
class Machine:
    """What a measurement was made on.

    Attributes:
        cpu: model name.
        cores: that this process may use.
        threads: of PyTorch.
        gpu: name, or None where none is used.
        memory_gb: of the machine, in GiB.
        system: name and release of the operating system.
    """

    cpu: str
    cores: int
    threads: int
    gpu: str | None
    memory_gb: float
    system: str

    @classmethod
    def here(cls) -> "Machine":
        """Return this machine."""
        import psutil
        import torch

        from hf_cifar.run.environment import hardware

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(
            cpu=hardware(device).cpu or platform.machine(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            threads=torch.get_num_threads(),
            gpu=torch.cuda.get_device_name() if device.type == "cuda" else None,
            memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
            system=f"{platform.system()} {platform.release()}",
        )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an optional one
    return found


def commit() -> tuple[str, bool]:
    """Return the commit of the code, and whether the working tree is exactly that; ("unknown", False) without git."""
    try:
        sha, changes = (
            subprocess.run(
                ["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False
    return sha, not changes

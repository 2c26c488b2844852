"""Choose the device to compute on, and move models there."""

from typing import TypeVar

import torch

Module = TypeVar("Module", bound=torch.nn.Module)


def default_device(use_cpu: bool = False) -> torch.device:
    """Return the available accelerator, or the CPU if there is none or `use_cpu` is set."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if use_cpu or accelerator is None else accelerator


def on_device(model: Module, device: torch.device) -> Module:
    """Move a model to a device and return it, typed as its own class."""
    torch.nn.Module.to(model, device)
    return model

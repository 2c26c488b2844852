"""The order of a network's weights in memory: channels last while it computes, as it was made when it is saved."""

import torch
from torch import nn


def is_convolutional(model: nn.Module) -> bool:
    """Return whether a network consists of convolutions; a transformer has one, which cuts the image into patches."""
    return sum(isinstance(module, nn.Conv2d) for module in model.modules()) > 1


def use_channels_last(model: nn.Module) -> bool:
    """Put the weights of a convolutional network into channels-last memory; values and names stay.

    Returns:
        Whether it is one.
    """
    if not is_convolutional(model):
        return False
    nn.Module.to(model, memory_format=torch.channels_last)
    return True


def use_contiguous(model: nn.Module) -> None:
    """Put the weights of a network back into the usual order."""
    nn.Module.to(model, memory_format=torch.contiguous_format)

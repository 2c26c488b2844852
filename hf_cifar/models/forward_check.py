"""Check with one forward pass whether a network works as the names of its layers suggest."""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import architecture, features_and_logits, head, layer_groups
from hf_cifar.utils import processes

# Raised by networks for images of a size that they do not take.
NETWORK_FAILS = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError)


@dataclass(frozen=True)
class ForwardCheck:
    """Results of the pass.

    Attributes:
        probe_fault: why a head trained on cached features would not give the model's logits; None if it would.
        in_order: whether images pass through the layer groups in their order.
        unused: whether some parameters have no influence on the logits, such as a mask token. That takes a backward
            pass, made with several processes only: DistributedDataParallel has to be told.
    """

    probe_fault: str | None
    in_order: bool
    unused: bool


def check_forward(model: PreTrainedModel, size: tuple[int, int]) -> ForwardCheck:
    """Pass two random images through a copy of a classifier.

    A copy, because some networks change in a pass: LeViT caches tables of its weights in eval mode, and Swin shrinks
    its windows for good after a small image.

    Args:
        model: any classifier; it is not changed.
        size: height and width of the images, in pixels.

    Raises:
        InputError: the network does not take images of this size, or returns no logits.
    """
    copied = copy.deepcopy(model).eval()
    head(copied).renew(seed=1)  # with a head of zeros, any features would give the right logits
    calls: list[int] = []
    for index, group in enumerate(layer_groups(copied)):
        for layer in _leaves(copied, group.layers):
            layer.register_forward_hook(lambda *_, index=index: calls.append(index))
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(copied.device)
    several = processes.count() > 1
    try:
        with torch.set_grad_enabled(several):
            features, logits = features_and_logits(copied, pixels)
            if several:
                logits.sum().backward()
    except InputError as error:
        return ForwardCheck(str(error), _rises(calls), unused=True)
    except NETWORK_FAILS as error:
        raise InputError(
            f"{architecture(model)} does not work on images of {size[0]} x {size[1]} pixels "
            f"({' '.join(str(error).split())[:200]}): choose another --image-size or --model"
        ) from error
    unused = several and any(parameter.requires_grad and parameter.grad is None for parameter in copied.parameters())
    return ForwardCheck(_fault(copied, features.detach(), logits.detach()), _rises(calls), unused)


@torch.no_grad()
def _fault(model: PreTrainedModel, features: torch.Tensor, logits: torch.Tensor) -> str | None:
    kind = architecture(model)
    if any(layer.bias is None for layer in head(model).layers):
        return f"the classifier of {kind} has no bias, which a probe trains"
    expected = head(model)(features)
    if logits.shape != expected.shape or not torch.allclose(
        logits, expected, rtol=1e-3, atol=1e-4 * max(1.0, float(expected.abs().max()))
    ):
        return f"the logits of {kind} are not its linear classifier's"
    return None


def _leaves(model: PreTrainedModel, names: list[str]) -> list[nn.Module]:
    """Return the modules in some layers that have parameters of their own."""
    return [
        module
        for name, module in model.named_modules()
        if any(name == layer or name.startswith(f"{layer}.") for layer in names)
        and any(True for _ in module.parameters(recurse=False))
    ]


def _rises(calls: list[int]) -> bool:
    """Return whether the first call of each group comes after that of the group before it."""
    first = list(dict.fromkeys(calls))
    return first == sorted(first)

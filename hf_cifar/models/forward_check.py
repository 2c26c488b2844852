"""One pass of random images through a copy of a network, which shows whether it is what its layers' names promise."""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import architecture, features_and_logits, head, layer_groups
from hf_cifar.utils import processes

# What networks raise for images of a size that they do not take.
NETWORK_FAILS = (RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError)


@dataclass(frozen=True)
class Trial:
    """What a pass has shown.

    Attributes:
        probe_fault: why a head trained on features would not be this model; None where it would.
        in_order: whether images pass through the layer groups in their order.
        unused: whether there are parameters that no answer depends on, such as a mask token; it costs a backward pass
            to know, and only several processes must know it.
    """

    probe_fault: str | None
    in_order: bool
    unused: bool


def run_trial(model: PreTrainedModel, size: tuple[int, int]) -> Trial:
    """Pass two random images through a copy of a classifier.

    A copy, because some networks remember what they saw: LeViT keeps a table of its weights in eval mode, and Swin
    shrinks its windows for good after a small image.

    Args:
        model: any classifier; it stays as it is.
        size: height and width of the images, in pixels.

    Raises:
        InputError: the network does not take images of this size, or answers no logits.
    """
    trained = copy.deepcopy(model).eval()
    head(trained).renew(seed=1)  # whatever the head, so that a head of zeros proves nothing
    calls: list[int] = []
    for place, group in enumerate(layer_groups(trained)):
        for layer in _leaves(trained, group.layers):
            layer.register_forward_hook(lambda *_, place=place: calls.append(place))
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(trained.device)
    several = processes.count() > 1
    try:
        with torch.set_grad_enabled(several):
            features, logits = features_and_logits(trained, pixels)
            if several:
                logits.sum().backward()
    except InputError as error:
        return Trial(str(error), _rises(calls), unused=True)
    except NETWORK_FAILS as error:
        raise InputError(
            f"{architecture(model)} does not work on images of {size[0]} x {size[1]} pixels "
            f"({' '.join(str(error).split())[:200]}): choose another --image-size or --model"
        ) from error
    unused = several and any(one.requires_grad and one.grad is None for one in trained.parameters())
    return Trial(_fault(trained, features.detach(), logits.detach()), _rises(calls), unused)


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
    """The modules below some layers that hold parameters of their own."""
    return [
        module
        for name, module in model.named_modules()
        if any(name == layer or name.startswith(f"{layer}.") for layer in names)
        and any(True for _ in module.parameters(recurse=False))
    ]


def _rises(calls: list[int]) -> bool:
    """Whether the first call of each group comes after that of the group before it."""
    first = list(dict.fromkeys(calls))
    return first == sorted(first)

"""Copies of models for inference: BatchNorm folded into convolutions, channels-last memory, products for small maps.

In eval mode BatchNorm is a fixed affine map of each channel, which the convolution in front of it can carry (Markus et
al., "Fusing Convolution and Batch Norm", PyTorch tutorials). The copy computes the same in real arithmetic.
"""

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from hf_cifar.models.memory_layout import is_convolutional, use_channels_last
from hf_cifar.models.small_maps import multiply_small_maps

Model = TypeVar("Model", bound=nn.Module)


def inference_copy(model: Model, pixel_values: torch.Tensor) -> Model | None:
    """Return a copy of a model that computes the same faster, or None where there is nothing to gain.

    Args:
        model: in eval mode; it is not changed.
        pixel_values: an input, to see what follows what, float [batch, 3, height, width]; one image is enough.
    """
    if not is_convolutional(model):
        return None
    made = copy.deepcopy(model).eval()
    for convolution, norm in _pairs(made, pixel_values):
        _fold(made, convolution, norm)
    use_channels_last(made)
    multiply_small_maps(made)
    return made


def _pairs(model: nn.Module, pixel_values: torch.Tensor) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Yield each convolution with the BatchNorm that gets its output, as seen in one pass.

    Both run once, and the tensor in between is handed on as it is; that nothing else reads it is left to a comparison
    of the whole network's output.
    """
    outputs: list[tuple[nn.Conv2d, torch.Tensor, int]] = []
    inputs: list[tuple[nn.BatchNorm2d, torch.Tensor, int]] = []
    hooks = []
    for module in model.modules():
        # Exact types: what a subclass, a parametrization or a hook adds is not known.
        if module._forward_hooks or module._forward_pre_hooks:
            continue
        if type(module) is nn.Conv2d:
            hooks.append(module.register_forward_hook(lambda this, _, out: outputs.append((this, out, out._version))))
        elif type(module) is nn.BatchNorm2d and module.running_mean is not None and module.running_var is not None:
            hooks.append(
                module.register_forward_pre_hook(lambda this, got: inputs.append((this, got[0], got[0]._version)))
            )
    try:
        # The versions of tensors, which tell of changes in place, are not counted in inference mode.
        with torch.inference_mode(False), torch.no_grad():
            model(pixel_values.clone())
    finally:
        for hook in hooks:
            hook.remove()
    ran = [module for module, _, _ in [*outputs, *inputs]]
    for norm, tensor, version in inputs:
        sources = [source for source, out, then in outputs if out is tensor and then == version]
        if len(sources) == 1 and ran.count(norm) == 1 and ran.count(sources[0]) == 1:
            yield sources[0], norm


@torch.inference_mode(False)
@torch.no_grad()
def _fold(model: nn.Module, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Put a BatchNorm into the convolution before it, in float64 rounded once, and an Identity into its place."""
    assert norm.running_mean is not None and norm.running_var is not None
    kind, precise = convolution.weight.dtype, torch.float64
    if convolution.weight.device.type == "mps":  # which has no float64
        precise = torch.float32
    weight, bias = fuse_conv_bn_weights(
        convolution.weight.to(precise),
        None if convolution.bias is None else convolution.bias.to(precise),
        norm.running_mean.to(precise),
        norm.running_var.to(precise),
        norm.eps,
        None if norm.weight is None else norm.weight.to(precise),
        None if norm.bias is None else norm.bias.to(precise),
    )
    convolution.weight = nn.Parameter(weight.to(kind), requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(kind), requires_grad=False)
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is norm:
                parent._modules[name] = nn.Identity()

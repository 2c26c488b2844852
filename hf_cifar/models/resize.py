"""Networks for images of another size than they were trained with: position embeddings are interpolated, once."""

import copy
from collections.abc import Iterable
from math import isqrt
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import architecture, head
from hf_cifar.models.forward_check import NETWORK_FAILS

EXTRA_TOKENS = range(9)  # in front of the patches: a class token, a distillation token, registers
FLAG = "interpolate_pos_encoding"  # of the families that interpolate when asked to
STEP = 32  # pixels; the sizes that every common family takes are multiples of it


def resized(model: PreTrainedModel, size: int) -> PreTrainedModel:
    """The same network for square images of `size` pixels.

    Position embeddings are interpolated as the family itself does it (bicubic), and the configuration says the new
    size, so that the saved model opens anywhere. A network that takes any size, or interpolates in every pass, stays
    as it is.

    Args:
        model: in eval mode, on the CPU.
        size: side of the image, in pixels.

    Raises:
        InputError: the size is no multiple of a patch, or the network cannot take it; sizes that work are named.
    """
    own = _own_size(model)
    if own == size:
        return model
    patch = _patch(model)
    if size % patch:
        near = ([size - size % patch] if size > patch else []) + [size - size % patch + patch]
        raise InputError(
            f"--image-size {size} is no multiple of the {patch} pixels of a patch of {architecture(model)}: "
            f"use {' or '.join(map(str, near))}"
        )
    found = _attempt(model, own, size)
    if found is not None:
        return found
    tried = {size - size % STEP, size - size % STEP + STEP} - {0}
    works = {one for one in tried if one % patch == 0 and _attempt(model, own, one) is not None}
    names = ", ".join(map(str, sorted(works | ({own} if own else set()))))
    raise InputError(
        f"--image-size {size} does not work with {architecture(model)}: "
        + (f"sizes that do: {names}" if names else "leave it out")
    )


def _attempt(model: PreTrainedModel, own: int | None, size: int) -> PreTrainedModel | None:
    """The network for images of `size` pixels; None where there is none."""
    rebuilt = None if own is None else _rebuilt(model, own, size)
    plain = _pass(model, size)
    flagged = _pass(model, size, **{FLAG: True})  # fails where the family knows no such flag
    expected = plain if flagged is None else flagged
    if rebuilt is not None:
        logits = _pass(rebuilt, size)
        if expected is None and (_is_timm(model) or _shapes(rebuilt) == _shapes(model)):
            expected = logits  # timm interpolates when a network is made, and where nothing was, nothing can be wrong
        # What the network itself makes of the size must be the same: nobody else knows how its embeddings are laid out.
        if logits is not None and expected is not None and torch.allclose(logits, expected, rtol=1e-3, atol=1e-4):
            return rebuilt
    # As it is, and so without the flag, which nobody would set where it is saved.
    return None if plain is None else model


@torch.no_grad()
def _pass(model: PreTrainedModel, size: int, **flags: Any) -> torch.Tensor | None:
    """Logits of a random image by a random head; None where the network fails.

    By a copy: some networks remember the size of what they saw.
    """
    copied = copy.deepcopy(model)
    head(copied).renew(seed=1)  # one of zeros would answer the same to everything
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        logits: torch.Tensor = copied(pixels, **flags).logits
    except NETWORK_FAILS:
        return None
    return logits


def _rebuilt(model: PreTrainedModel, own: int, size: int) -> PreTrainedModel | None:
    """The network that its configuration describes with another image size, with the weights of `model`.

    None where tensors that are no position embeddings of patches differ, or the size is not its configuration's.
    """
    config = copy.deepcopy(model.config)
    _set_size(config, size)
    try:
        found = type(model)(config).eval()
    except NETWORK_FAILS:  # such as a network of timm that knows no image size
        return None
    state, needed = model.state_dict(), found.state_dict()
    if set(state) != set(needed):
        return None
    for name, tensor in needed.items():
        if tensor.shape == state[name].shape:
            continue
        # Tables of relative positions are matrices too, and are another matter.
        is_table = tensor.ndim == 2 and not isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Embedding)
        embeddings = _interpolated(state[name], tensor.shape, size / own, antialias=_is_timm(model))
        if is_table or embeddings is None:
            return None
        state[name] = embeddings
    found.load_state_dict(state)
    return found


def _interpolated(tensor: torch.Tensor, shape: torch.Size, ratio: float, antialias: bool) -> torch.Tensor | None:
    """Position embeddings [(1,) tokens, width] for another grid of patches; None where the shapes are not of those."""
    if tensor.ndim not in (2, 3) or tensor.shape[:-2] != shape[:-2] or tensor.shape[-1] != shape[-1]:
        return None
    for extra in EXTRA_TOKENS:
        old, new = isqrt(max(0, tensor.shape[-2] - extra)), isqrt(max(0, shape[-2] - extra))
        squares = old**2 + extra == tensor.shape[-2] and new**2 + extra == shape[-2]
        if squares and old and new and abs(new - old * ratio) < 1:
            break
    else:
        return None
    rows = tensor.reshape(-1, tensor.shape[-1]).float()
    grid = rows[extra:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False, antialias=antialias)
    patches = grid.permute(0, 2, 3, 1).reshape(new * new, -1)
    return torch.cat([rows[:extra], patches]).reshape(shape).to(tensor.dtype)


def _shapes(model: PreTrainedModel) -> list[torch.Size]:
    return [tensor.shape for tensor in model.state_dict().values()]


def _is_timm(model: PreTrainedModel) -> bool:
    return model.config.model_type == "timm_wrapper"


def _own_size(model: PreTrainedModel) -> int | None:
    """The side of the images that a network's configuration names; None where it names none."""
    config = model.config
    if _is_timm(model):
        built_for = (getattr(model.timm_model, "pretrained_cfg", None) or {}).get("input_size")
        value = (config.model_args or {}).get("img_size") or (built_for and built_for[-1])
    else:
        value = getattr(_vision(config), "image_size", None)
    return max(value) if isinstance(value, Iterable) else value


def _set_size(config: Any, size: int) -> None:
    if config.model_type == "timm_wrapper":
        config.model_args = {**(config.model_args or {}), "img_size": size}
        return
    vision = _vision(config)
    vision.image_size = [size, size] if isinstance(vision.image_size, Iterable) else size


def _vision(config: Any) -> Any:
    """The configuration of the part that sees images, in a model that reads texts too."""
    return getattr(config, "vision_config", None) or config


def _patch(model: PreTrainedModel) -> int:
    """The side of the patches that a network cuts an image into, in pixels; 1 where it does not."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.kernel_size != first.stride or first.padding not in ("valid", 0, (0, 0)):
        return 1
    return first.stride[0]

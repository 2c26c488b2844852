"""Adapt networks to images of another size, by interpolating their position embeddings once."""

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
    """Return the same network for square images of `size` pixels.

    Position embeddings are interpolated as the family itself does it (bicubic), and the configuration gets the new
    size, so that the saved model opens anywhere. A network that takes any size, or interpolates in every pass, is
    returned unchanged.

    Args:
        model: in eval mode, on the CPU.
        size: side of the image, in pixels.

    Raises:
        InputError: the size is not a multiple of the patch, or the network does not take it; names sizes that work.
    """
    own = _own_size(model)
    if own == size:
        return model
    patch = _patch(model)
    if size % patch:
        near = ([size - size % patch] if size > patch else []) + [size - size % patch + patch]
        raise InputError(
            f"--image-size {size} is not a multiple of {architecture(model)}'s patches of {patch} pixels: "
            f"use {' or '.join(map(str, near))}"
        )
    adapted = _attempt(model, own, size)
    if adapted is not None:
        return adapted
    tried = {size - size % STEP, size - size % STEP + STEP} - {0}
    works = {side for side in tried if side % patch == 0 and _attempt(model, own, side) is not None}
    names = ", ".join(map(str, sorted(works | ({own} if own else set()))))
    raise InputError(
        f"--image-size {size} does not work with {architecture(model)}: "
        + (f"sizes that do: {names}" if names else "leave it out")
    )


def _attempt(model: PreTrainedModel, own: int | None, size: int) -> PreTrainedModel | None:
    """Return the network for images of `size` pixels; None if it cannot take them."""
    rebuilt = None if own is None else _rebuilt(model, own, size)
    plain = _pass(model, size)
    flagged = _pass(model, size, **{FLAG: True})  # fails if the family has no such flag
    expected = plain if flagged is None else flagged
    if rebuilt is not None:
        logits = _pass(rebuilt, size)
        if expected is None and (_is_timm(model) or _shapes(rebuilt) == _shapes(model)):
            expected = logits  # timm interpolates at creation; without interpolation nothing can be wrong
        # The network's own interpolation is the reference: only it knows the layout of its embeddings.
        if logits is not None and expected is not None and torch.allclose(logits, expected, rtol=1e-3, atol=1e-4):
            return rebuilt
    # Unchanged, and so only if it works without the flag, which nobody sets for the saved model.
    return None if plain is None else model


@torch.no_grad()
def _pass(model: PreTrainedModel, size: int, **flags: Any) -> torch.Tensor | None:
    """Return the logits of a random image by a random head; None if the network fails.

    A copy computes them: some networks remember the size of their inputs.
    """
    copied = copy.deepcopy(model)
    head(copied).renew(seed=1)  # a head of zeros would give the same logits for anything
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        logits: torch.Tensor = copied(pixels, **flags).logits
    except NETWORK_FAILS:
        return None
    return logits


def _rebuilt(model: PreTrainedModel, own: int, size: int) -> PreTrainedModel | None:
    """Build the network for another image size in its configuration, with the weights of `model`.

    Returns:
        The network; None if the shapes of other tensors than position embeddings of patches differ, or it cannot be
        built.
    """
    config = copy.deepcopy(model.config)
    _set_size(config, size)
    try:
        rebuilt = type(model)(config).eval()
    except NETWORK_FAILS:  # such as a network of timm that knows no image size
        return None
    state, needed = model.state_dict(), rebuilt.state_dict()
    if set(state) != set(needed):
        return None
    for name, tensor in needed.items():
        if tensor.shape == state[name].shape:
            continue
        # Tables of relative positions are matrices too, but not embeddings of patches.
        is_table = tensor.ndim == 2 and not isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Embedding)
        embeddings = _interpolated(state[name], tensor.shape, size / own, antialias=_is_timm(model))
        if is_table or embeddings is None:
            return None
        state[name] = embeddings
    rebuilt.load_state_dict(state)
    return rebuilt


def _interpolated(tensor: torch.Tensor, shape: torch.Size, ratio: float, antialias: bool) -> torch.Tensor | None:
    """Interpolate position embeddings [(1,) tokens, width] to another grid of patches; None if they are not such."""
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
    """Return the image size in a network's configuration; None if it has none."""
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
    """Return the configuration of the vision part of a model of images and text."""
    return getattr(config, "vision_config", None) or config


def _patch(model: PreTrainedModel) -> int:
    """Return the side of the patches that a network divides an image into, in pixels; 1 if it does not."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.kernel_size != first.stride or first.padding not in ("valid", 0, (0, 0)):
        return 1
    return first.stride[0]

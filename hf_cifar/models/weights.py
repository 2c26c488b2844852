"""Weights from files: read, recognised and checked, so that nothing is silently left random."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from hf_cifar.errors import InputError
from hf_cifar.models.native import native_key

FILES = ("model.safetensors", "pytorch_model.bin")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a `.safetensors` or `.pth` file, or of the weights file in a folder.

    Raises:
        InputError: there is no such file in the folder, or it holds no tensors by name.
    """
    file = _weights_file(path)
    try:
        state: Any = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{file} cannot be read as weights ({' '.join(str(error).split())[:150]})") from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise InputError(f"{file} does not hold tensors by name, as a state dict does")
    for prefix in ("module.", "network."):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def load_checked(model: nn.Module, state: dict[str, torch.Tensor], heads: Sequence[str], source: str) -> None:
    """Load a state dict; only the head may be missing, or have another number of classes.

    Args:
        model: takes the tensors; names are its own, or for torchvision ResNets transformers' ones.
        state: tensors by name.
        heads: dotted names of the layers in `model` that make the logits.
        source: where the state comes from, for messages.

    Raises:
        InputError: a tensor of the backbone is missing or has another shape, or one is not the model's.
    """
    own = model.state_dict()
    if not set(own) & set(state):
        state = _torchvision_names(own, state)
    of_head = tuple(f"{head}." for head in heads)
    mine = {
        name: tensor
        for name, tensor in state.items()
        if not name.startswith(of_head) or (name in own and tensor.shape == own[name].shape)
    }
    needed = {name for name in own if not name.startswith(of_head) and not name.endswith("num_batches_tracked")}
    missing = sorted(needed - set(mine))
    unknown = sorted(set(mine) - set(own))
    shapes = [name for name in mine if name in own and mine[name].shape != own[name].shape]
    if missing or unknown or shapes:
        faults = [
            f"{len(names)} tensors {what} (such as {names[0]}{detail})"
            for names, what, detail in (
                (missing, "missing", ""),
                (unknown, "unknown", ""),
                (shapes, "of another shape", shapes and _shapes(own[shapes[0]], mine[shapes[0]])),
            )
            if names
        ]
        raise InputError(f"{source} does not fit the architecture of the model: {'; '.join(faults)}; see --model")
    model.load_state_dict(mine, strict=False)


def put_weights(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give a model other weights, between two passes of images.

    Networks of LeViT's kind keep tables of their weights in eval mode, and make them anew only after training mode.
    """
    model.load_state_dict(state)
    mode = model.training
    model.train()
    model.train(mode)


def _weights_file(path: Path) -> Path:
    if path.is_file():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path} holds no weights: {' or '.join(FILES)} is needed")


def _torchvision_names(own: dict[str, Any], state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict with transformers' ResNet names under torchvision's, where `own` has those."""
    try:
        back = {native_key(name): name for name in own}
    except KeyError:
        return state
    return {back.get(name, name): tensor for name, tensor in state.items()}


def _shapes(own: torch.Tensor, found: torch.Tensor) -> str:
    return f": {'x'.join(map(str, found.shape))}, where the model has {'x'.join(map(str, own.shape))}"

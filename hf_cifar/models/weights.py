"""Read weights from files and check them, so that nothing is silently left random."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from hf_cifar.errors import InputError
from hf_cifar.models.native import native_key

FILES = ("model.safetensors", "pytorch_model.bin")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a `.safetensors` or `.pth` file, or of the weights file in a folder.

    Raises:
        InputError: the folder has no weights file, or the file holds no named tensors.
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
    refuse_not_finite(state.items(), str(file))
    for prefix in ("module.", "network."):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def refuse_not_finite(tensors: Iterable[tuple[str, torch.Tensor]], source: str) -> None:
    """Refuse weights with NaN or infinity: every prediction would be NaN too.

    Args:
        tensors: with their names.
        source: of them, for the message.

    Raises:
        InputError: names the first such tensor.
    """
    bad = [name for name, tensor in tensors if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise InputError(
            f"the weights of {source} hold NaN or infinity in {len(bad)} tensors (such as {bad[0]}): the file is "
            "damaged, or the training that wrote it diverged"
        )


def load_checked(model: nn.Module, state: dict[str, torch.Tensor], heads: Sequence[str], source: str) -> None:
    """Load a state dict; only the head may be missing, or have another number of classes.

    Args:
        model: to load into.
        state: tensors by the model's names, or for torchvision's ResNets by transformers' names.
        heads: dotted names of the layers in `model` that compute the logits.
        source: of the state, for messages.

    Raises:
        InputError: a tensor of the backbone is missing or has another shape, or a tensor is unknown to the model.
    """
    own = model.state_dict()
    if not set(own) & set(state):
        state = _torchvision_names(own, state)
    of_head = tuple(f"{head}." for head in heads)
    taken = {
        name: tensor
        for name, tensor in state.items()
        if not name.startswith(of_head) or (name in own and tensor.shape == own[name].shape)
    }
    needed = {name for name in own if not name.startswith(of_head) and not name.endswith("num_batches_tracked")}
    missing = sorted(needed - set(taken))
    unknown = sorted(set(taken) - set(own))
    shapes = [name for name in taken if name in own and taken[name].shape != own[name].shape]
    if missing or unknown or shapes:
        faults = [
            f"{len(names)} tensors {fault} (such as {names[0]}{detail})"
            for names, fault, detail in (
                (missing, "missing", ""),
                (unknown, "unknown", ""),
                (shapes, "of another shape", shapes and _shapes(own[shapes[0]], taken[shapes[0]])),
            )
            if names
        ]
        raise InputError(f"{source} does not fit the architecture of the model: {'; '.join(faults)}; see --model")
    model.load_state_dict(taken, strict=False)


def put_weights(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load other weights into a model that has already been used.

    LeViT and its like cache tables of their weights in eval mode, and clear them only when training mode is set.
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
    """Rename a state dict from transformers' ResNet names to torchvision's, if `own` has those."""
    try:
        torchvision_name = {native_key(name): name for name in own}
    except KeyError:
        return state
    return {torchvision_name.get(name, name): tensor for name, tensor in state.items()}


def _shapes(own: torch.Tensor, given: torch.Tensor) -> str:
    return f": {'x'.join(map(str, given.shape))}, where the model has {'x'.join(map(str, own.shape))}"

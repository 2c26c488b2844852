"""Where the parts of a network are: its head, and the features that the head gets.

The only file that knows the names of a model's layers.
"""

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.errors import InputError

# Where the families keep their classifier; the last Linear of these that has a logit for every label is the head.
HEAD_PREFIXES = (
    "network.fc",
    "classifier",
    "fc",
    "head",
    "timm_model.head",
    "timm_model.fc",
    "timm_model.classifier",
)


def head_name(model: PreTrainedModel) -> str:
    """The dotted name of the linear layer that makes the logits.

    Raises:
        InputError: the model has none, or its classifier is more than a linear layer on features.
    """
    num_labels = model.config.num_labels
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == num_labels
        and any(name == prefix or name.startswith(prefix + ".") for prefix in HEAD_PREFIXES)
    ]
    if not found:
        raise InputError(
            f"{type(model).__name__} has no linear classifier with {num_labels} outputs that could be probed"
        )
    return found[-1]


def head(model: PreTrainedModel) -> nn.Linear:
    """The linear layer that makes the logits; weight [labels, features], bias [labels]."""
    found = model.get_submodule(head_name(model))
    assert isinstance(found, nn.Linear)
    return found


def backbone_modules(model: PreTrainedModel) -> list[str]:
    """The dotted names of the modules that together are everything but the head, the largest possible ones."""
    path = head_name(model).split(".")
    above = {".".join(path[:depth]) for depth in range(len(path) + 1)}
    names = []
    for parent in sorted(above - {".".join(path)}, key=len):
        module = model.get_submodule(parent)
        for child, _ in module.named_children():
            name = f"{parent}.{child}" if parent else child
            if name not in above:
                names.append(name)
    return names


def pooled_features(model: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """What the head gets for some images: float [batch, features].

    Caught on its way into the head, so that it is the head's input whatever the family does before it.
    """
    caught: list[torch.Tensor] = []
    hook = head(model).register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        model(pixel_values)
    finally:
        hook.remove()
    (features,) = caught
    if features.ndim != 2:
        raise InputError(
            f"the head of {type(model).__name__} gets features of shape {tuple(features.shape)}, not one row an image"
        )
    return features

"""Where the parts of a network are: its head, the features that the head gets, its backbone, layer by layer.

The only file that knows the names of a model's layers.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, ResNetForImageClassification

from hf_cifar.errors import InputError, hint

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


def new_head(model: PreTrainedModel, seed: int) -> None:
    """Give a classifier a head of random weights, as `nn.Linear` draws them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = nn.Linear(head(model).in_features, head(model).out_features)
    head(model).load_state_dict(fresh.state_dict())


def backbone_layers(model: PreTrainedModel) -> list[str]:
    """The dotted names of what together is everything but the head.

    The largest possible modules, and the parameters that belong to none of them, such as a class token.
    """
    path = head_name(model).split(".")
    above = {".".join(path[:depth]) for depth in range(len(path))}
    names = []
    for parent in sorted(above, key=len):
        module = model.get_submodule(parent)
        children = [name for name, _ in module.named_parameters(recurse=False)]
        children += [name for name, _ in module.named_children()]
        names += [_joined(parent, child) for child in children]
    return [name for name in names if name not in above and name != ".".join(path)]


@dataclass(frozen=True)
class LayerGroup:
    """Layers that are trained, frozen and given a learning rate together.

    Attributes:
        name: the dotted name of the group's main layer; "head" for the classifier.
        layers: dotted names of modules or of single parameters; no parameter is in two groups.
    """

    name: str
    layers: list[str]


def layer_groups(model: PreTrainedModel) -> list[LayerGroup]:
    """Every parameter of a classifier in ordered groups, from the input to the head, which is the last.

    A group is a block of the family's list of blocks (a stage of a ResNet, a layer of a ViT); what comes before the
    first block is a group of its own, and what comes after a block belongs to it. In a network without such a list
    the backbone is one group.
    """
    groups: list[LayerGroup] = []
    for name in backbone_layers(model):
        for layer, is_block in _blocks(model, name):
            if is_block or not groups:
                groups.append(LayerGroup(layer, [layer]))
            else:
                groups[-1].layers.append(layer)
    return [*groups, LayerGroup("head", [head_name(model)])]


def find_layers(model: PreTrainedModel, names: Iterable[str]) -> list[str]:
    """The full dotted names of layers, each given by its whole name or by an end of it that no other layer has.

    "head" is the classifier, whatever the family calls it; `layer4` is the last stage of a ResNet in both its forms.

    Raises:
        InputError: no layer, or several, have such a name; the nearest is given.
    """
    known = [name for name, _ in (*model.named_modules(), *model.named_parameters()) if name]
    found = []
    for name in names:
        if name == "head":
            found.append(head_name(model))
            continue
        name = _native_stage(name) if isinstance(model, ResNetForImageClassification) else name
        ends = [layer for layer in known if layer == name or layer.endswith(f".{name}")]
        exact = [layer for layer in ends if layer == name]
        if len(ends) != 1 and not exact:
            groups = [group.name for group in layer_groups(model)[:-1]]
            if ends:
                raise InputError(f"several layers are named {name!r}: give one of {', '.join(ends[:10])}")
            depth = name.count(".") + 1
            near = hint(name, [*known, *{".".join(layer.split(".")[-depth:]) for layer in known}])
            raise InputError(f"unknown layer {name!r}: {near}layer groups: {', '.join(groups)}, head")
        found += exact or ends
    return found


def _native_stage(name: str) -> str:
    """torchvision's name of a ResNet's stage, `layer1` to `layer4`, as transformers' one; other names as they are."""
    stage = re.fullmatch(r"(?:network\.)?layer([1-4])", name)
    return f"resnet.encoder.stages.{int(stage[1]) - 1}" if stage else name


def layers_outside(model: PreTrainedModel, chosen: Collection[str]) -> list[str]:
    """The dotted names of what together is the backbone without some layers: the largest possible modules.

    Args:
        chosen: full dotted names.
    """
    found, todo = [], backbone_layers(model)
    while todo:
        name = todo.pop(0)
        if any(name == layer or name.startswith(f"{layer}.") for layer in chosen):
            continue
        if any(layer.startswith(f"{name}.") for layer in chosen):
            module = model.get_submodule(name)
            children = (*module.named_parameters(recurse=False), *module.named_children())
            todo += [f"{name}.{child}" for child, _ in children]
        else:
            found.append(name)
    return found


def block_modules(model: PreTrainedModel) -> list[nn.Module]:
    """The blocks of a backbone, in order: what its layer groups are made of."""
    found = [layer for name in backbone_layers(model) for layer, is_block in _blocks(model, name) if is_block]
    return [model.get_submodule(name) for name in found]


def _blocks(model: PreTrainedModel, name: str) -> list[tuple[str, bool]]:
    """The layers that make up one layer of the backbone, each with whether it is a block of a list of them."""
    try:
        module = model.get_submodule(name)
    except AttributeError:  # a single parameter
        return [(name, False)]
    if not any(True for _ in module.parameters()):
        return []
    if isinstance(module, nn.Sequential):
        return [(name, True)]
    if isinstance(module, nn.ModuleList):
        return [(_joined(name, child), True) for child, _ in module.named_children()]
    own = [(_joined(name, parameter), False) for parameter, _ in module.named_parameters(recurse=False)]
    children = [(child, _blocks(model, _joined(name, child))) for child, _ in module.named_children()]
    if not any(is_block for _, layers in children for _, is_block in layers):
        return [(name, False)]
    return own + [layer for _, layers in children for layer in layers]


def _joined(parent: str, child: str) -> str:
    return f"{parent}.{child}" if parent else child


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

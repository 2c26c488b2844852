"""Where the parts of a network are: its head, the features that the head gets, its backbone, layer by layer.

The only file that knows the names of a model's layers.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel, ResNetForImageClassification

from hf_cifar.errors import InputError, hint
from hf_cifar.models.head import Head

# An attribute of the instance, so that saved files and the class itself know nothing of it.
_ONE_GROUP = "_hf_cifar_one_layer_group"

# Where the families keep their classifiers: below each of these the last Linear that has a logit for every label is a
# head. A family with two of them answers with the mean of their logits, as distilled networks do.
HEAD_PLACES = (
    "network.fc",
    "classifier",
    "cls_classifier",
    "distillation_classifier",
    "classifier_distill",
    "fc",
    "head",
    "dist_head",
)


def architecture(model: PreTrainedModel) -> str:
    """What a user knows a network as: the name of its class, or timm's name of it."""
    return str(getattr(model.config, "architecture", None) or type(model).__name__)


def head_names(model: PreTrainedModel) -> list[str]:
    """The dotted names of the linear layers that make the logits: one, or several whose logits are averaged.

    Of a family that is not known here it is the last linear layer that has a logit for every label; see `knows_head`.

    Raises:
        InputError: the model has no such layer.
    """
    known = _known_heads(model)
    found = known or _linear_layers(model)[-1:]
    if not found:
        raise InputError(
            f"{architecture(model)} has no linear classifier with {model.config.num_labels} outputs that could be "
            "trained: choose another --model"
        )
    return found


def knows_head(model: PreTrainedModel) -> bool:
    """Whether the model's classifier is where its family is known to keep it."""
    return bool(_known_heads(model))


def head(model: PreTrainedModel) -> Head:
    """What makes the logits of the features."""
    layers = [model.get_submodule(name) for name in head_names(model)]
    return Head([layer for layer in layers if isinstance(layer, nn.Linear)])


def _known_heads(model: PreTrainedModel) -> list[str]:
    layers = _linear_layers(model)
    network = getattr(model, "timm_model", None)
    if network is not None:
        # timm says itself what its classifiers are called.
        named = (getattr(network, "pretrained_cfg", None) or {}).get("classifier") or ()
        names = [f"timm_model.{name}" for name in ((named,) if isinstance(named, str) else named)]
        return names if names and set(names) <= set(layers) else []
    below = [[name for name in layers if name == place or name.startswith(f"{place}.")] for place in HEAD_PLACES]
    return [names[-1] for names in below if names]


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """The dotted names of the linear layers that have a logit for every label, in order."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == model.config.num_labels
    ]


def backbone_layers(model: PreTrainedModel) -> list[str]:
    """The dotted names of what together is everything but the head.

    The largest possible modules, and the parameters that belong to none of them, such as a class token.
    """
    heads = head_names(model)
    paths = [name.split(".") for name in heads]
    above = {".".join(path[:depth]) for path in paths for depth in range(len(path))}
    names = []
    for parent in sorted(above, key=lambda name: (len(name.split(".")) if name else 0, name)):
        module = model.get_submodule(parent)
        children = [name for name, _ in module.named_parameters(recurse=False)]
        children += [name for name, _ in module.named_children()]
        names += [_joined(parent, child) for child in children]
    return [name for name in names if name not in above and name not in heads]


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

    A group is a block of the family's list of blocks (a stage of a ResNet, ConvNeXt or Swin, a layer of a ViT); what
    comes before the first block is a group of its own, and what comes after a block belongs to it. In a network
    without such a list, and in one that `group_backbone` was called for, the backbone is one group.
    """
    groups: list[list[_Piece]] = []
    for piece in _pieces(model, backbone_layers(model)):
        if groups and (getattr(model, _ONE_GROUP, False) or not piece.is_block):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    result = []
    for found in groups:
        layers = [layer for piece in found for layer in piece.layers]
        result.append(LayerGroup(_largest(model, found[0].layers if found[0].is_block else layers), layers))
    return [*result, LayerGroup("head", head_names(model))]


def group_backbone(model: PreTrainedModel) -> None:
    """Make the backbone one layer group from here on: its blocks are not run in the order of their names."""
    setattr(model, _ONE_GROUP, True)


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
            found += head_names(model)
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
    pieces = [piece for piece in _pieces(model, backbone_layers(model)) if piece.is_block]
    found = [model.get_submodule(layer) for piece in pieces for layer in piece.layers]
    # A list is not called, what it holds is.
    return [block for one in found for block in (one if isinstance(one, nn.ModuleList) else (one,))]


class _Piece(NamedTuple):
    """Layers that are never taken apart, and whether they are a block of a list of blocks."""

    layers: list[str]
    is_block: bool


def _pieces(model: PreTrainedModel, names: Sequence[str]) -> list[_Piece]:
    """What some layers beside each other are made of."""
    modules = {name: module for name, module in model.named_modules() if name in set(names)}
    numbered = [name for name, module in modules.items() if _holds_blocks(module) and re.search(r"\d$", name)]
    rows = [name for name, module in modules.items() if isinstance(module, nn.Sequential) and _holds_blocks(module)]
    # Several beside each other are the stages; a single one is the list of them.
    stages = {name for found in (numbered, rows) if len(found) > 1 for name in found}
    found = []
    for name in names:
        module = modules.get(name)
        if module is None:  # a single parameter
            found.append([_Piece([name], False)])
        elif name in stages:
            found.append([_Piece([name], True)])
        elif _has_parameters(module):
            found.append(_pieces_of(model, name, module, name in rows))
    return _interleaved(found)


def _pieces_of(model: PreTrainedModel, name: str, module: nn.Module, is_row: bool) -> list[_Piece]:
    """What one layer is made of: the blocks of a list of them, or itself."""
    if is_row or isinstance(module, nn.ModuleList):
        children = [(f"{name}.{child}", layer) for child, layer in module.named_children() if _has_parameters(layer)]
        return [_Piece([child], not is_row or _children(layer) != []) for child, layer in children]
    own = [parameter for parameter, _ in module.named_parameters(recurse=False)]
    inside = _pieces(model, [f"{name}.{child}" for child in (*own, *(child for child, _ in module.named_children()))])
    return inside if any(piece.is_block for piece in inside) else [_Piece([name], False)]


def _interleaved(found: list[list[_Piece]]) -> list[_Piece]:
    """Layers beside each other in a row; lists of equal length, such as embeddings and blocks of stages, in step."""

    def is_list(pieces: list[_Piece]) -> bool:
        return len(pieces) > 1 and all(piece.is_block for piece in pieces)

    result: list[_Piece] = []
    for pieces in found:
        together = [other for other in found if is_list(other) and len(other) == len(pieces)]
        if not is_list(pieces) or len(together) == 1:
            result += pieces
        elif pieces is together[0]:
            steps = zip(*together, strict=True)
            result += [_Piece([layer for piece in step for layer in piece.layers], True) for step in steps]
    return result


def _holds_blocks(module: nn.Module) -> bool:
    """Whether some of what a module is made of is itself made of layers."""
    return any(_children(child) for child in _children(module))


def _children(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.children() if _has_parameters(child)]


def _has_parameters(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _largest(model: PreTrainedModel, layers: Sequence[str]) -> str:
    """The layer that holds most of the parameters, the first of equal ones."""
    sizes = dict.fromkeys(layers, 0)
    for name, parameter in model.named_parameters():
        for layer in layers:
            sizes[layer] += parameter.numel() * (name == layer or name.startswith(f"{layer}."))
    return max(layers, key=lambda layer: sizes[layer])


def _joined(parent: str, child: str) -> str:
    return f"{parent}.{child}" if parent else child


def pooled_features(model: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """What the head gets for some images: float [batch, features]; raises as `features_and_logits`."""
    return features_and_logits(model, pixel_values)[0]


def features_and_logits(model: PreTrainedModel, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the head gets for some images, float [batch, features], and what the model answers, float [batch, labels].

    The features are caught on their way into the head, so that they are its input whatever the family does before it.
    The inputs of several layers are laid side by side.

    Raises:
        InputError: a layer of the head does not get one row an image.
        ValueError: the model answers no logits.
    """
    caught: dict[int, list[torch.Tensor]] = {}
    layers = head(model).layers
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, place=place: caught.setdefault(place, []).append(inputs[0]))
        for place, layer in enumerate(layers)
    ]
    try:
        answer = model(pixel_values)
    finally:
        for hook in hooks:
            hook.remove()
    logits = getattr(answer, "logits", None)
    if logits is None:
        raise ValueError(f"it answers {', '.join(answer)}, and no logits")
    shapes = [[tuple(inputs.shape) for inputs in caught.get(place, [])] for place in range(len(layers))]
    if any(len(found) != 1 or len(found[0]) != 2 for found in shapes):
        raise InputError(
            f"the classifier of {architecture(model)} gets inputs of shapes {shapes}, not one row of features an image"
        )
    return torch.cat([caught[place][0] for place in range(len(layers))], dim=1), logits

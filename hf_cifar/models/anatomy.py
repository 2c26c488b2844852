"""Find the parts of a network: its head, the head's input features, and its backbone in ordered layer groups.

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

# Set on the instance only, so that it is neither saved nor shared by the class.
_ONE_GROUP = "_hf_cifar_one_layer_group"

# Names of classifiers in the families: in each of these modules the last Linear with a logit for every label is a head.
# A network with two of them averages their logits, as distilled networks do.
HEAD_MODULES = (
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
    """Return the name that users know a network by: of its class, or timm's."""
    return str(getattr(model.config, "architecture", None) or type(model).__name__)


def head_names(model: PreTrainedModel) -> list[str]:
    """Return the dotted names of the linear layers that compute the logits: one, or several whose logits are averaged.

    In an unknown family that is the last linear layer with a logit for every label; see `knows_head`.

    Raises:
        InputError: the model has no such layer.
    """
    names = _known_heads(model) or _linear_layers(model)[-1:]
    if not names:
        raise InputError(
            f"{architecture(model)} has no linear classifier with {model.config.num_labels} outputs that could be "
            "trained: choose another --model"
        )
    return names


def knows_head(model: PreTrainedModel) -> bool:
    """Return whether the model's classifier has one of the names that known families give it."""
    return bool(_known_heads(model))


def head(model: PreTrainedModel) -> Head:
    """Return the model's head, the linear map from features to logits."""
    layers = [model.get_submodule(name) for name in head_names(model)]
    return Head([layer for layer in layers if isinstance(layer, nn.Linear)])


def _known_heads(model: PreTrainedModel) -> list[str]:
    layers = _linear_layers(model)
    network = getattr(model, "timm_model", None)
    if network is not None:
        # timm names its classifiers itself.
        named = (getattr(network, "pretrained_cfg", None) or {}).get("classifier") or ()
        names = [f"timm_model.{name}" for name in ((named,) if isinstance(named, str) else named)]
        return names if names and set(names) <= set(layers) else []
    below = [[name for name in layers if name == module or name.startswith(f"{module}.")] for module in HEAD_MODULES]
    return [names[-1] for names in below if names]


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """Return the dotted names of the linear layers with a logit for every label, in order."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == model.config.num_labels
    ]


def backbone_layers(model: PreTrainedModel) -> list[str]:
    """Return the dotted names of the layers that together are everything but the head.

    They are the largest possible modules, and parameters that belong to none of them, such as a class token.
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
    """Layers that are frozen, unfrozen and given a learning rate together.

    Attributes:
        name: the dotted name of the group's main layer; "head" for the classifier.
        layers: dotted names of modules or of single parameters; no parameter is in two groups.
    """

    name: str
    layers: list[str]


def layer_groups(model: PreTrainedModel) -> list[LayerGroup]:
    """Divide the parameters of a classifier into ordered groups, from the input to the head, which is the last.

    A group is one of the network's blocks (a stage of a ResNet, ConvNeXt or Swin, a layer of a ViT); the layers before
    the first block are a group of their own, and those after a block belong to it. In a network without a list of
    blocks, or after `group_backbone`, the backbone is one group.
    """
    groups: list[list[_Piece]] = []
    for piece in _pieces(model, backbone_layers(model)):
        if groups and (getattr(model, _ONE_GROUP, False) or not piece.is_block):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    result = []
    for pieces in groups:
        layers = [layer for piece in pieces for layer in piece.layers]
        result.append(LayerGroup(_largest(model, pieces[0].layers if pieces[0].is_block else layers), layers))
    return [*result, LayerGroup("head", head_names(model))]


def group_backbone(model: PreTrainedModel) -> None:
    """Make the backbone one layer group, for a network that does not run its blocks in the order of their names."""
    setattr(model, _ONE_GROUP, True)


def find_layers(model: PreTrainedModel, names: Iterable[str]) -> list[str]:
    """Return the full dotted names of layers that are given by their names or unique ends of these.

    "head" is the classifier in every family; `layer4` is the last stage of torchvision's and transformers' ResNets.

    Raises:
        InputError: no layer, or several, match a name; the message gives the nearest.
    """
    known = [name for name, _ in (*model.named_modules(), *model.named_parameters()) if name]
    layers = []
    for name in names:
        if name == "head":
            layers += head_names(model)
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
        layers += exact or ends
    return layers


def _native_stage(name: str) -> str:
    """Translate torchvision's name of a ResNet's stage, `layer1` to `layer4`, to transformers' name."""
    stage = re.fullmatch(r"(?:network\.)?layer([1-4])", name)
    return f"resnet.encoder.stages.{int(stage[1]) - 1}" if stage else name


def layers_outside(model: PreTrainedModel, chosen: Collection[str]) -> list[str]:
    """Return the dotted names of the largest modules that together are the backbone without some layers.

    Args:
        chosen: full dotted names.
    """
    outside, todo = [], backbone_layers(model)
    while todo:
        name = todo.pop(0)
        if any(name == layer or name.startswith(f"{layer}.") for layer in chosen):
            continue
        if any(layer.startswith(f"{name}.") for layer in chosen):
            module = model.get_submodule(name)
            children = (*module.named_parameters(recurse=False), *module.named_children())
            todo += [f"{name}.{child}" for child, _ in children]
        else:
            outside.append(name)
    return outside


def block_modules(model: PreTrainedModel) -> list[nn.Module]:
    """Return the blocks of a backbone in order, each a module that is called."""
    pieces = [piece for piece in _pieces(model, backbone_layers(model)) if piece.is_block]
    modules = [model.get_submodule(layer) for piece in pieces for layer in piece.layers]
    # A ModuleList is not called itself.
    return [block for module in modules for block in (module if isinstance(module, nn.ModuleList) else (module,))]


class _Piece(NamedTuple):
    """Layers that always stay in one group, and whether they are one of the network's blocks."""

    layers: list[str]
    is_block: bool


def _pieces(model: PreTrainedModel, names: Sequence[str]) -> list[_Piece]:
    """Divide sibling layers into pieces, in order."""
    modules = {name: module for name, module in model.named_modules() if name in set(names)}
    numbered = [name for name, module in modules.items() if _holds_blocks(module) and re.search(r"\d$", name)]
    sequences = [n for n, module in modules.items() if isinstance(module, nn.Sequential) and _holds_blocks(module)]
    # Several siblings are the stages themselves; a single one is the list of stages.
    stages = {name for siblings in (numbered, sequences) if len(siblings) > 1 for name in siblings}
    pieces = []
    for name in names:
        module = modules.get(name)
        if module is None:  # a single parameter
            pieces.append([_Piece([name], False)])
        elif name in stages:
            pieces.append([_Piece([name], True)])
        elif _has_parameters(module):
            pieces.append(_pieces_of(model, name, module, name in sequences))
    return _interleaved(pieces)


def _pieces_of(model: PreTrainedModel, name: str, module: nn.Module, is_sequence: bool) -> list[_Piece]:
    """Divide one layer into the blocks that it lists; if it lists none, it is one piece."""
    if is_sequence or isinstance(module, nn.ModuleList):
        children = [(f"{name}.{child}", layer) for child, layer in module.named_children() if _has_parameters(layer)]
        return [_Piece([child], not is_sequence or _children(layer) != []) for child, layer in children]
    own = [parameter for parameter, _ in module.named_parameters(recurse=False)]
    inside = _pieces(model, [f"{name}.{child}" for child in (*own, *(child for child, _ in module.named_children()))])
    return inside if any(piece.is_block for piece in inside) else [_Piece([name], False)]


def _interleaved(siblings: list[list[_Piece]]) -> list[_Piece]:
    """Join the pieces of siblings; lists of equal length, such as a stage's embeddings and blocks, are zipped."""

    def is_list(pieces: list[_Piece]) -> bool:
        return len(pieces) > 1 and all(piece.is_block for piece in pieces)

    result: list[_Piece] = []
    for pieces in siblings:
        together = [other for other in siblings if is_list(other) and len(other) == len(pieces)]
        if not is_list(pieces) or len(together) == 1:
            result += pieces
        elif pieces is together[0]:
            steps = zip(*together, strict=True)
            result += [_Piece([layer for piece in step for layer in piece.layers], True) for step in steps]
    return result


def _holds_blocks(module: nn.Module) -> bool:
    """Return whether a child of a module has children with parameters itself."""
    return any(_children(child) for child in _children(module))


def _children(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.children() if _has_parameters(child)]


def _has_parameters(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _largest(model: PreTrainedModel, layers: Sequence[str]) -> str:
    """Return the layer with the most parameters, the first of equal ones."""
    sizes = dict.fromkeys(layers, 0)
    for name, parameter in model.named_parameters():
        for layer in layers:
            sizes[layer] += parameter.numel() * (name == layer or name.startswith(f"{layer}."))
    return max(layers, key=lambda layer: sizes[layer])


def _joined(parent: str, child: str) -> str:
    return f"{parent}.{child}" if parent else child


def pooled_features(model: PreTrainedModel, pixel_values: torch.Tensor) -> torch.Tensor:
    """Return the head's input features for images, float [batch, features]; raises as `features_and_logits`."""
    return features_and_logits(model, pixel_values)[0]


def features_and_logits(model: PreTrainedModel, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the head's input features, float [batch, features], and the model's logits, float [batch, labels].

    A hook on the head captures the features, so that they are its input in every family. Those of several layers are
    concatenated.

    Raises:
        InputError: a layer of the head does not get one row of features for each image.
        ValueError: the model returns no logits.
    """
    captured: dict[int, list[torch.Tensor]] = {}
    layers = head(model).layers
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, index=index: captured.setdefault(index, []).append(inputs[0]))
        for index, layer in enumerate(layers)
    ]
    try:
        output = model(pixel_values)
    finally:
        for hook in hooks:
            hook.remove()
    logits = getattr(output, "logits", None)
    if logits is None:
        raise ValueError(f"it returns {', '.join(output)}, and no logits")
    shapes = [[tuple(inputs.shape) for inputs in captured.get(index, [])] for index in range(len(layers))]
    if any(len(calls) != 1 or len(calls[0]) != 2 for calls in shapes):
        raise InputError(
            f"the classifier of {architecture(model)} gets inputs of shapes {shapes}, not one row of features "
            "for each image"
        )
    return torch.cat([captured[index][0] for index in range(len(layers))], dim=1), logits

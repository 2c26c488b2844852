"""The optimizer and its parameter groups, each with its own learning rate and weight decay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainingArguments

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import LayerGroup


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of one layer group with the same weight decay.

    Attributes:
        name: of the layer group.
        layers: dotted names of its layers.
        parameters: passed to the optimizer.
        learning_rate: peak of the schedule.
        weight_decay: passed to the optimizer.
    """

    name: str
    layers: list[str]
    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float

    @property
    def num_parameters(self) -> int:
        """Return the number of trainable values."""
        return sum(parameter.numel() for parameter in self.parameters)


def parameter_groups(
    model: PreTrainedModel,
    layer_groups: Sequence[LayerGroup],
    *,
    learning_rate: float,
    weight_decay: float,
    head_lr: float | None = None,
    layer_decay: float = 1.0,
) -> list[ParameterGroup]:
    """Return groups that hold every trainable parameter of a model exactly once, from the input to the head.

    Layer-wise learning-rate decay as in BEiT (Bao et al., 2022) and timm: the n-th group below the head gets
    `learning_rate * layer_decay**n`. Biases and the weights of normalisation layers, recognised by shape
    rather than by name, are not decayed.

    Args:
        model: parameters that do not train are frozen.
        layer_groups: from `models.anatomy.layer_groups`; the head is last.
        learning_rate: of the head, unless `head_lr` is given, and of the layers below it before decay.
        weight_decay: of matrices and convolutions.
        head_lr: of the head.
        layer_decay: above 0, at most 1.

    Raises:
        RuntimeError: the layer groups leave out a trainable parameter, or hold one twice.
    """
    named = dict(model.named_parameters())
    result: list[ParameterGroup] = []
    for depth, group in enumerate(layer_groups):
        rate = learning_rate * layer_decay ** (len(layer_groups) - 1 - depth)
        if group.name == "head" and head_lr is not None:
            rate = head_lr
        names = [
            name
            for name, parameter in named.items()
            if parameter.requires_grad and any(name == layer or name.startswith(layer + ".") for layer in group.layers)
        ]
        matrices = [named[name] for name in names if named[name].ndim > 1]
        others = [named[name] for name in names if named[name].ndim <= 1]
        parts = [(matrices, weight_decay), (others, 0.0)] if weight_decay else [(matrices + others, 0.0)]
        result += [ParameterGroup(group.name, group.layers, part, rate, decay) for part, decay in parts if part]
    held = [id(parameter) for group in result for parameter in group.parameters]
    trainable = {id(parameter) for parameter in named.values() if parameter.requires_grad}
    if len(held) != len(set(held)) or set(held) != trainable:
        raise RuntimeError("the layer groups do not hold every trainable parameter exactly once")
    return result


def make_optimizer(
    groups: Sequence[dict[str, Any]], args: TrainingArguments, momentum: float, model: nn.Module | None = None
) -> torch.optim.Optimizer:
    """Return the optimizer named by `--optim`, over groups with rates of their own.

    Args:
        groups: as for any `torch.optim` optimizer.
        args: name and options of the optimizer; rate and weight decay of groups without their own.
        momentum: of SGD.
        model: passed to `Trainer.get_optimizer_cls_and_kwargs`.

    Raises:
        InputError: the optimizer takes a whole model instead of groups, or is not installed.
    """
    name = optimizer_name(args)
    if name == "sgd":
        options: dict[str, Any] = {"momentum": momentum, "weight_decay": args.weight_decay}
        return torch.optim.SGD(groups, lr=args.learning_rate, fused=_can_fuse(groups, args), **options)
    try:
        kind, given = Trainer.get_optimizer_cls_and_kwargs(args, model)  # type: ignore[arg-type]
    except (ImportError, ValueError) as error:
        raise InputError(f"--optim {name}: {' '.join(str(error).split())}") from error
    if {"params", "model", "optimizer_dict"} & set(given):
        raise InputError(f"--optim {name} takes no parameter groups: choose another, such as sgd or adamw_torch")
    return kind(groups, **{"weight_decay": args.weight_decay, **given})


def _can_fuse(groups: Sequence[dict[str, Any]], args: TrainingArguments) -> bool:
    """Return whether one kernel can update all parameters of a group: on CPUs and on CUDA, in any precision but fp16.

    With a gradient scaler, accelerate sees skipped steps by the call of `step`, which a fused optimizer always gets.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    return not args.fp16 and all(
        parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point() for parameter in parameters
    )


def optimizer_name(args: TrainingArguments) -> str:
    """Return the name of the optimizer, as for `--optim`."""
    return str(getattr(args.optim, "value", args.optim))

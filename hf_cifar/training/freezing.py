"""Freezing that holds: no gradient, no dropout, no moving statistics, whatever calls `model.train()`.

`requires_grad = False` alone lets BatchNorm go on counting, and `Trainer` calls `model.train()` at every step, after
its callbacks, so that an `eval()` from a callback is undone before the forward pass. A frozen module here answers
`train()` itself, and stays in eval mode.

A layer that is to train later must be in the optimizer from the start, or it never moves, and `--resume` finds other
groups than were saved. So the callbacks freeze such layers when training begins, after the optimizer was made; their
gradients are None until they are unfrozen, and an optimizer skips those, weight decay and momentum included.
"""

from collections.abc import Callable, Iterable, Sequence
from types import MethodType
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import unknown_name
from hf_cifar.models.anatomy import LayerGroup, backbone_layers


def freeze(model: Any, layers: Iterable[str] | None = None) -> list[str]:
    """Freeze layers of a model: no gradients, and eval mode until `unfreeze`.

    Args:
        model: any module; where `layers` is not given, a classifier whose head can be found.
        layers: dotted names of modules or of single parameters; default: everything but the head.

    Returns:
        The names of the frozen layers.

    Raises:
        InputError: the model has no such layer; the nearest name is given.
    """
    names = backbone_layers(model) if layers is None else list(layers)
    for layer in _layers(model, names):
        layer.requires_grad_(False)
        if isinstance(layer, nn.Module):
            _answer_train_by(_frozen_train, layer)
    return names


def unfreeze(model: Any, layers: Iterable[str] | None = None) -> list[str]:
    """Undo `freeze` for some layers, or for everything but the head; they take the mode that the model is in.

    Returns:
        The names of the layers.

    Raises:
        InputError: the model has no such layer; the nearest name is given.
    """
    names = backbone_layers(model) if layers is None else list(layers)
    for layer in _layers(model, names):
        layer.requires_grad_(True)
        if isinstance(layer, nn.Module):
            if _answers_train_by(_frozen_train, layer):
                del layer.__dict__["train"]
            layer.train(model.training)
    return names


def freeze_statistics(model: nn.Module) -> int:
    """Keep every BatchNorm of a model in eval mode: its statistics stay, its weight and bias still train.

    Returns:
        How many there are.
    """
    found = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for module in found:
        _answer_train_by(_statistics_train, module)
    return len(found)


class FreezeCallback(TrainerCallback):
    """Freezes layers of the model that a `Trainer` is made for.

    Args:
        layers: dotted names; default: everything but the head.
        until_epoch: how long, in epochs from the start; default: for good. Layers that are frozen for good are frozen
            before the optimizer is made, which then leaves them out; others are in it from the start.
    """

    def __init__(self, layers: Iterable[str] | None = None, until_epoch: int | None = None) -> None:
        self.layers = None if layers is None else list(layers)
        self.until_epoch = until_epoch

    def on_init_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Freeze for good; the optimizer, made later, takes only what is left."""
        if self.until_epoch is None:
            freeze(model, self.layers)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Freeze for a while, once the optimizer holds everything that will ever train.

        Raises:
            RuntimeError: something trainable would never move, because the optimizer does not hold it.
        """
        _check_optimizer(model, optimizer)
        if self.until_epoch is not None:
            freeze(model, self.layers)

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Unfreeze when the time has come, or had come before training was interrupted.

        Raises:
            RuntimeError: as `on_train_begin`.
        """
        if self.until_epoch is not None and int(state.epoch or 0) >= self.until_epoch:
            unfreeze(model, self.layers)
            _check_optimizer(model, optimizer)


class GradualUnfreezeCallback(TrainerCallback):
    """Trains the head and the last layer group first, then one more group at a time, down to the input.

    The method of ULMFiT (Howard and Ruder, 2018, section 3.3), with the head and the group below it at the start,
    since the head comes from a probe.

    Args:
        groups: from the input to the head, as `layer_groups` gives them.
        every: epochs between two groups.
    """

    def __init__(self, groups: Sequence[LayerGroup], every: int = 1) -> None:
        self.starts = {
            group.name: max(0, len(groups) - 2 - place) * every if group.name != "head" else 0
            for place, group in enumerate(groups)
        }
        self.callbacks = [
            FreezeCallback(group.layers, self.starts[group.name]) for group in groups if self.starts[group.name] > 0
        ]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Freeze every group whose turn comes later.

        Raises:
            RuntimeError: a group would never move, because the optimizer does not hold it.
        """
        for callback in self.callbacks:
            callback.on_train_begin(args, state, control, **kwargs)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Unfreeze the groups whose turn has come.

        Raises:
            RuntimeError: as `on_train_begin`.
        """
        for callback in self.callbacks:
            callback.on_epoch_begin(args, state, control, **kwargs)


def _check_optimizer(model: nn.Module, optimizer: Any) -> None:
    """Refuse to train what the optimizer does not hold."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    missing = [name for name, value in model.named_parameters() if value.requires_grad and id(value) not in held]
    if missing:
        raise RuntimeError(
            f"{len(missing)} trainable parameters are not in the optimizer and would never move "
            f"(such as {missing[0]}): they were unfrozen after it was made; let a callback of this module "
            "freeze and unfreeze them"
        )


def _answer_train_by(answer: Callable[..., nn.Module], module: nn.Module) -> None:
    if not _answers_train_by(_statistics_train, module):
        # An attribute of the instance, so that copies, saved files and the class itself know nothing of it.
        module.train = MethodType(answer, module)  # type: ignore[method-assign]
    module.train()


def _answers_train_by(answer: Callable[..., nn.Module], module: nn.Module) -> bool:
    return getattr(module.__dict__.get("train"), "__func__", None) is answer


def _frozen_train(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)


def _statistics_train(module: nn.Module, mode: bool = True) -> nn.Module:
    # Apart from `_frozen_train`, so that unfreezing a BatchNorm does not set its statistics free.
    return type(module).train(module, False)


def _layers(model: nn.Module, names: Iterable[str]) -> list[nn.Module | nn.Parameter]:
    known: dict[str, Any] = dict(model.named_parameters())
    known.update((name, module) for name, module in model.named_modules() if name)
    for name in names:
        if name not in known:
            raise unknown_name("layer", name, [layer for layer, _ in model.named_modules() if layer])
    return [known[name] for name in names]

"""Freeze layers for good: no gradient, no dropout, no moving statistics, whatever calls `model.train()`.

`requires_grad = False` alone lets BatchNorm keep updating its statistics, and `Trainer` calls `model.train()` at
every step, after its callbacks, so an `eval()` from a callback is undone before the forward pass. Here a frozen
module overrides `train()` and stays in eval mode.

A layer that trains later must be in the optimizer from the start; otherwise it never moves, and `--resume` finds other
groups than were saved. The callbacks therefore freeze such layers when training begins, after the optimizer was made.
Their gradients are None until they are unfrozen, and an optimizer skips those, weight decay and momentum included.
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
            _override_train_with(_frozen_train, layer)
    return names


def unfreeze(model: Any, layers: Iterable[str] | None = None) -> list[str]:
    """Undo `freeze` for some layers, or for everything but the head; they take on the mode of the model.

    Returns:
        The names of the layers.

    Raises:
        InputError: the model has no such layer; the nearest name is given.
    """
    names = backbone_layers(model) if layers is None else list(layers)
    for layer in _layers(model, names):
        layer.requires_grad_(True)
        if isinstance(layer, nn.Module):
            if _overrides_train_with(_frozen_train, layer):
                del layer.__dict__["train"]
            layer.train(model.training)
    return names


def freeze_statistics(model: nn.Module) -> int:
    """Keep every BatchNorm of a model in eval mode: its statistics stay, its weight and bias still train.

    Returns:
        Number of BatchNorm layers.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for module in norms:
        _override_train_with(_statistics_train, module)
    return len(norms)


class FreezeCallback(TrainerCallback):
    """Freezes layers of the model of a `Trainer`.

    Args:
        layers: dotted names; default: everything but the head.
        until_epoch: epoch that unfreezes them; default: never. Layers that never train are frozen before the
            optimizer is made, which then leaves them out; others are in it from the start.
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
        """Freeze for good; the optimizer, made later, leaves these layers out."""
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
        """Freeze for a while, now that the optimizer holds everything that will ever train.

        Raises:
            RuntimeError: a trainable parameter is not in the optimizer and would never move.
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
        """Unfreeze if this is the epoch to, or a later one, as after an interruption.

        Raises:
            RuntimeError: as `on_train_begin`.
        """
        if self.until_epoch is not None and int(state.epoch or 0) >= self.until_epoch:
            unfreeze(model, self.layers)
            _check_optimizer(model, optimizer)


class GradualUnfreezeCallback(TrainerCallback):
    """Trains the head and the last layer group first, then one more group at a time, down to the input.

    As in ULMFiT (Howard and Ruder, 2018, section 3.3), but starting with the head and the group below it, since the
    head comes from a probe.

    Args:
        groups: from the input to the head, as `layer_groups` gives them.
        every: epochs from one group to the next.
    """

    def __init__(self, groups: Sequence[LayerGroup], every: int = 1) -> None:
        self.starts = {
            group.name: max(0, len(groups) - 2 - depth) * every if group.name != "head" else 0
            for depth, group in enumerate(groups)
        }
        self.callbacks = [
            FreezeCallback(group.layers, self.starts[group.name]) for group in groups if self.starts[group.name] > 0
        ]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Freeze the groups that train later.

        Raises:
            RuntimeError: a trainable parameter is not in the optimizer and would never move.
        """
        for callback in self.callbacks:
            callback.on_train_begin(args, state, control, **kwargs)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Unfreeze the groups that train from this epoch on.

        Raises:
            RuntimeError: as `on_train_begin`.
        """
        for callback in self.callbacks:
            callback.on_epoch_begin(args, state, control, **kwargs)


def _check_optimizer(model: nn.Module, optimizer: Any) -> None:
    """Raise if a trainable parameter is not in the optimizer."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    missing = [name for name, value in model.named_parameters() if value.requires_grad and id(value) not in held]
    if missing:
        raise RuntimeError(
            f"{len(missing)} trainable parameters are not in the optimizer and would never move "
            f"(such as {missing[0]}): they were unfrozen after it was made; let a callback of this module "
            "freeze and unfreeze them"
        )


def _override_train_with(override: Callable[..., nn.Module], module: nn.Module) -> None:
    if not _overrides_train_with(_statistics_train, module):
        # An attribute of the instance, so that copies, saved files and the class itself are unaffected.
        module.train = MethodType(override, module)  # type: ignore[method-assign]
    module.train()


def _overrides_train_with(override: Callable[..., nn.Module], module: nn.Module) -> bool:
    return getattr(module.__dict__.get("train"), "__func__", None) is override


def _frozen_train(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)


def _statistics_train(module: nn.Module, mode: bool = True) -> nn.Module:
    # Distinct from `_frozen_train`, so that unfreezing a BatchNorm does not unfreeze its statistics.
    return type(module).train(module, False)


def _layers(model: nn.Module, names: Iterable[str]) -> list[nn.Module | nn.Parameter]:
    known: dict[str, Any] = dict(model.named_parameters())
    known.update((name, module) for name, module in model.named_modules() if name)
    for name in names:
        if name not in known:
            raise unknown_name("layer", name, [layer for layer, _ in model.named_modules() if layer])
    return [known[name] for name in names]

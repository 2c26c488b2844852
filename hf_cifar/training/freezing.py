"""Freezing that holds: no gradient, no dropout, no moving statistics, whatever calls `model.train()`.

`requires_grad = False` alone lets BatchNorm go on counting, and `Trainer` calls `model.train()` at every step, after
its callbacks, so that an `eval()` from a callback is undone before the forward pass. A frozen module here answers
`train()` itself, and stays in eval mode.
"""

from collections.abc import Iterable
from types import MethodType
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import unknown_name
from hf_cifar.models.anatomy import backbone_modules


def freeze(model: Any, layers: Iterable[str] | None = None) -> list[str]:
    """Freeze layers of a model: no gradients, and eval mode until `unfreeze`.

    Args:
        model: any module; where `layers` is not given, a classifier whose head can be found.
        layers: dotted names of modules; default: everything but the head.

    Returns:
        The names of the frozen modules.

    Raises:
        InputError: the model has no such layer; the nearest name is given.
    """
    names = backbone_modules(model) if layers is None else list(layers)
    for module in _modules(model, names):
        module.requires_grad_(False)
        # An attribute of the instance, so that copies, saved files and the class itself know nothing of it.
        module.train = MethodType(_stay_in_eval, module)  # type: ignore[method-assign]
        module.train()
    return names


def unfreeze(model: Any, layers: Iterable[str] | None = None) -> list[str]:
    """Undo `freeze` for some layers, or for everything but the head; they take the mode that the model is in.

    Returns:
        The names of the layers.

    Raises:
        InputError: the model has no such layer; the nearest name is given.
    """
    names = backbone_modules(model) if layers is None else list(layers)
    for module in _modules(model, names):
        module.requires_grad_(True)
        module.__dict__.pop("train", None)
        module.train(model.training)
    return names


class FreezeCallback(TrainerCallback):
    """Freezes layers of the model that a `Trainer` is made for, before it makes its optimizer.

    Args:
        layers: dotted names; default: everything but the head.
    """

    def __init__(self, layers: Iterable[str] | None = None) -> None:
        self.layers = None if layers is None else list(layers)

    def on_init_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Freeze; the optimizer, made later, takes only what is left."""
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
        """Refuse to train where the optimizer does not hold exactly what can be trained.

        Raises:
            RuntimeError: something trainable would never move, or something frozen is in the optimizer.
        """
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        trainable = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
        if held != trainable:
            raise RuntimeError(
                f"{len(trainable - held)} trainable parameters are not in the optimizer, "
                f"and {len(held - trainable)} frozen ones are: make the Trainer with the FreezeCallback"
            )


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return type(module).train(module, False)


def _modules(model: nn.Module, names: Iterable[str]) -> list[nn.Module]:
    known = dict(model.named_modules())
    for name in names:
        if name not in known or not name:
            raise unknown_name("layer", name, [layer for layer in known if layer])
    return [known[name] for name in names]

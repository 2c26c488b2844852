"""Signatures that show every option of a stage, for editors and notebooks to complete. Light: no torch here."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING
from typing import Any, TypeVar

from hf_cifar.config.run_config import flags, stages_of

F = TypeVar("F", bound=Callable[..., Any])


def takes_options(*stages: str) -> Callable[[F], F]:
    """Return a decorator that shows, in place of `**options`, the options that do something in one of some stages.

    Fields of `TrainingArguments` remain behind them, as `**training_arguments`.

    Args:
        stages: default: all of them.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [item for item in signature.parameters.values() if item.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = {item.name for item in own} | {"stage"}
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(item), annotation=item.type)
            for name, (_, item) in flags().items()
            if name not in taken and (not stages or set(stages) & set(stages_of(name)))
        ]
        rest = inspect.Parameter("training_arguments", inspect.Parameter.VAR_KEYWORD, annotation=Any)
        function.__signature__ = signature.replace(parameters=[*own, *options, rest])  # type: ignore[attr-defined]
        return function

    return decorate


def _default(item: Any) -> Any:
    return item.default if item.default is not MISSING else item.default_factory()

"""Options that do something only beside a certain value of another one. Light: no torch here."""

from typing import Any

from hf_cifar.config.fields import flag
from hf_cifar.config.run_config import RunConfig, flags
from hf_cifar.errors import InputError

# An option, the one that it belongs to, and the values of that beside which it does something.
CONDITIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "step_size": ("scheduler", ("step",)),
    "gamma": ("scheduler", ("step", "plateau")),
    "plateau_patience": ("scheduler", ("plateau",)),
    "unfreeze_every": ("unfreeze", ("gradual",)),
    "feature_dtype": ("features", ("cached",)),
    "learning_rates": ("solver", ("trainer",)),
    "strengths": ("solver", ("lbfgs",)),
    "hub_token_file": ("push_to_hub", (True,)),
    "revision": ("push_to_hub", (True,)),
    "public": ("push_to_hub", (True,)),
    "license": ("push_to_hub", (True,)),
    "hub_model_id": ("push_to_hub", (True,)),
}


def refuse_without_effect(given: dict[str, Any], config: RunConfig) -> None:
    """Refuse options of a training that do nothing beside the others.

    Args:
        given: nested options of this call alone: a recipe, a file or a run.yaml holds more than one run needs.
        config: with every option resolved.

    Raises:
        InputError: one of them needs another value of the option that it belongs to.
    """
    for name, (other, values) in CONDITIONS.items():
        section, item = flags()[name]
        part = given.get(section) if section else given
        value = part.get(name) if isinstance(part, dict) else None
        if value is None or value == item.default:
            continue
        owner = flags()[other][0]
        actual = getattr(getattr(config, owner) if owner else config, other)
        if actual not in values:
            ways = " or ".join(_spelled(other, value) for value in values)
            raise InputError(f"{flag(name)} does nothing without {ways}, and here it is {_spelled(other, actual)}")


def _spelled(name: str, value: Any) -> str:
    if value is True:
        return flag(name)
    return f"--no-{flag(name)[2:]}" if value is False else f"{flag(name)} {value}"

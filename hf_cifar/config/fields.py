"""Dataclass fields that are configuration keys and command-line flags at once: made, named, checked and merged.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from contextlib import suppress
from dataclasses import MISSING, Field, field, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_type_hints

from hf_cifar.errors import InputError, unknown_name

TRAINING = "training"


def option(default: Any, help: str, *, choices: tuple[str, ...] | None = None, metavar: str | None = None) -> Any:
    """A dataclass field that is also a command-line flag; `help` is its documentation in both places."""
    metadata = {"help": help, "choices": choices, "metavar": metavar}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def flag(name: str) -> str:
    """The command-line spelling of a field; `from_`, which Python reserves, is `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


def flags(cls: type) -> dict[str, tuple[str | None, Field[Any]]]:
    """Every field of a configuration that is a flag: its name -> (the part that it belongs to, the field)."""
    found: dict[str, tuple[str | None, Field[Any]]] = {}
    for item in fields(cls):
        if item.metadata:
            found[item.name] = (None, item)
        elif item.default_factory is not MISSING and is_dataclass(item.default_factory):
            found.update({sub.name: (item.name, sub) for sub in fields(item.default_factory) if sub.metadata})
    return found


def nested(cls: type, flat: dict[str, Any]) -> dict[str, Any]:
    """Field names without their part -> the nested form; unknown names are taken as TrainingArguments fields."""
    known = flags(cls)
    result: dict[str, Any] = {}
    for name, value in flat.items():
        part = known[name][0] if name in known else TRAINING
        target = result.setdefault(part, {}) if part else result
        target[name] = value
    return result


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid over it, dictionaries key by key."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def construct(cls: type, values: dict[str, Any], where: str = "") -> Any:
    """Build a configuration dataclass from a dictionary, checking every key and value.

    Raises:
        InputError: a key or choice that does not exist (the nearest is named), or a value of a wrong type.
    """
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name("configuration key", where + str(key), [where + name for name in known])
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise InputError(f"{where}{key} must hold keys and values, not {value!r}")
            arguments[key] = construct(hints[key], value, f"{where}{key}.")
        else:
            arguments[key] = _checked(where + key, value, hints[key], known[key].metadata.get("choices"))
    return cls(**arguments)


def _checked(name: str, value: Any, kind: Any, choices: tuple[str, ...] | None) -> Any:
    """`value` as `kind`, where nothing is lost by it; an `InputError` elsewhere."""
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if value is None and type(None) in options:
        return None
    target = next(option for option in options if option is not type(None))
    if target in (list[float], list[str]):
        value = value if isinstance(value, list) else [value]
        return [_checked(name, item, get_args(target)[0], None) for item in value]
    if target == dict[str, Any]:
        target = dict
    if target is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as text.
        with suppress(ValueError):
            value = float(value)
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if target is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, target) or (target is int and isinstance(value, bool)):
        raise InputError(f"{name} is {value!r}: it must be of type {target.__name__}")
    if choices is not None and value not in choices:
        raise unknown_name(name, value, choices)
    return value

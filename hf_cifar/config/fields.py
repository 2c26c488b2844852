"""Dataclass fields that are configuration keys and command-line flags at once: define, name, check and merge them.

Light on purpose: the command line reads it before anything heavy is imported.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_type_hints

from hf_cifar.errors import InputError, unknown_name

TRAINING = "training"
MAX_DEPTH = 20  # of nested values; a run.yaml needs four
MAX_VALUES = 100_000  # aliases of YAML can stand for billions


@dataclass(frozen=True)
class Range:
    """The numbers that an option takes; bounds count as inside unless they are open. NaN and infinity never are.

    Attributes:
        low, high: bounds; None for none.
        open_low, open_high: whether the bound itself is outside.
        hint: what to give instead, as the end of a sentence.
    """

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    hint: str = ""

    def check(self, name: str, value: float) -> None:
        """Refuse a number outside.

        Raises:
            InputError: names the option, the value and the range.
        """
        too_low = self.low is not None and (value <= self.low if self.open_low else value < self.low)
        too_high = self.high is not None and (value >= self.high if self.open_high else value > self.high)
        if too_low or too_high or (isinstance(value, float) and not math.isfinite(value)):
            shown = f"{value:,}" if isinstance(value, int) and abs(value) < 2**53 else f"{value}"
            raise InputError(f"{name} is {shown}: it must be {self}{f', {self.hint}' if self.hint else ''}")

    def __str__(self) -> str:
        words = []
        if self.low is not None:
            words.append(f"{'above' if self.open_low else 'at least'} {_plain(self.low)}")
        if self.high is not None:
            words.append(f"{'below' if self.open_high else 'at most'} {_plain(self.high)}")
        return " and ".join(words) or "a finite number"


def _plain(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def at_least(low: float, hint: str = "") -> Range:
    """Return the range from `low` on."""
    return Range(low=low, hint=hint)


def above(low: float, hint: str = "") -> Range:
    """Return the range of everything above `low`."""
    return Range(low=low, open_low=True, hint=hint)


def between(low: float, high: float, hint: str = "") -> Range:
    """Return the range from `low` to `high`, both included."""
    return Range(low=low, high=high, hint=hint)


@dataclass(frozen=True)
class Usual:
    """How the short help of a command shows an option, in a line; without it, an option is in `--help-all` alone.

    Attributes:
        group: of options that it stands among, one of `help_text.GROUPS`.
        text: what fits the line, where its help does not.
        in_stages: what is said instead in some stages.
        rare_in: stages in which it does something, but is hardly ever typed: their short help leaves it out.
    """

    group: str
    text: str = ""
    in_stages: Mapping[str, str] = field(default_factory=dict)
    rare_in: tuple[str, ...] = ()


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    metavar: str | None = None,
    range: Range | None = None,
    stages: tuple[str, ...] | None = None,
    usual: Usual | None = None,
) -> Any:
    """Define a dataclass field that is also a command-line flag.

    Args:
        default: its value where nothing is given.
        help: its documentation, for `--help` too.
        choices: the only values that it takes.
        metavar: what stands for its value in `--help`.
        range: of its number, or of each number of its list.
        stages: those in which it does something; default: those of its part of the configuration.
        usual: how the short help shows it.
    """
    metadata = {
        "help": help,
        "choices": choices,
        "metavar": metavar,
        "range": range,
        "stages": stages,
        "usual": usual,
    }
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def part(kind: type, stages: tuple[str, ...]) -> Any:
    """Define a field that is a part of the configuration, whose options do something in these stages."""
    return field(default_factory=kind, metadata={"stages": stages})


def flag(name: str) -> str:
    """Return the command-line spelling of a field; `from_`, since Python reserves `from`, is `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


def flags(cls: type) -> dict[str, tuple[str | None, Field[Any]]]:
    """Return every field of a configuration that is a flag: its name -> (the part that it belongs to, the field)."""
    result: dict[str, tuple[str | None, Field[Any]]] = {}
    for item in fields(cls):
        if "help" in item.metadata:
            result[item.name] = (None, item)
        elif item.default_factory is not MISSING and is_dataclass(item.default_factory):
            subfields = fields(item.default_factory)
            result.update({sub.name: (item.name, sub) for sub in subfields if "help" in sub.metadata})
    return result


def nested(cls: type, flat: dict[str, Any]) -> dict[str, Any]:
    """Return flat field names in the nested form; unknown names are taken as fields of TrainingArguments."""
    known = flags(cls)
    result: dict[str, Any] = {}
    for name, value in flat.items():
        section = known[name][0] if name in known else TRAINING
        target = result.setdefault(section, {}) if section else result
        target[name] = value
    return result


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` laid over it, dictionaries key by key."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def construct(cls: type, values: dict[str, Any], where: str = "") -> Any:
    """Build a configuration dataclass from a dictionary, checking every key, type, choice and range.

    Raises:
        InputError: a key or choice that does not exist (the nearest is named), or a value that does not fit.
    """
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name("configuration key", where + str(key), [where + name for name in known])
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise InputError(f"{where}{key} must hold keys and values, not {shortened(value)}")
            arguments[key] = construct(hints[key], value, f"{where}{key}.")
        else:
            metadata = known[key].metadata
            arguments[key] = _checked(where + key, value, hints[key], metadata.get("choices"))
            _check_range(flag(key), arguments[key], metadata.get("range") or Range())
    return cls(**arguments)


def check_depth(value: Any, name: str) -> None:
    """Refuse values that are nested deeper than any configuration, or are more.

    Raises:
        InputError: they are.
    """
    level: Sequence[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, (dict, list))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
        if len(level) > MAX_VALUES:
            raise InputError(f"{name} holds more than {MAX_VALUES:,} values: no configuration does")
    raise InputError(f"{name} is nested more than {MAX_DEPTH} deep: no configuration is")


def shortened(value: Any, limit: int = 80) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _check_range(name: str, value: Any, limits: Range) -> None:
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, (int, float)):
            limits.check(name, number)


def _checked(name: str, value: Any, kind: Any, choices: tuple[str, ...] | None) -> Any:
    """Return `value` as `kind`, where nothing is lost by it; raise an `InputError` elsewhere."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return None
    target = next(option for option in kinds if option is not type(None))
    if target in (list[float], list[int], list[str]):
        value = value if isinstance(value, list) else [value]
        return [_checked(name, item, get_args(target)[0], None) for item in value]
    if target == dict[str, Any]:
        target = dict
    if target is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as text.
        with suppress(ValueError):
            value = float(value)
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        with suppress(OverflowError):
            value = float(value)
    if target is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, target) or (target is int and isinstance(value, bool)):
        raise InputError(f"{name} is {shortened(value)}: it must be of type {target.__name__}")
    if choices is not None and value not in choices:
        raise unknown_name(name, value, choices)
    return value

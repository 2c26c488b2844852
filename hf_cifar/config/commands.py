"""Sub-commands of the command line, and what the arguments after them are. Light: no torch here."""

from collections.abc import Sequence
from glob import has_magic
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from hf_cifar.config.fields import flag
from hf_cifar.config.locate import ARCHIVE, DATASET_NAMES, saved_model_in
from hf_cifar.config.run_config import stages_of
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.utils.network import is_address

# Every stage is a command; `train` is the main job.
COMMANDS = {"train": "lpft", **{stage: stage for stage in STAGES}}
_MANY = ("images", "runs")
# What the arguments of a command are, the first that does something in its stage.
_KINDS = ("dataset", "images", "runs", "checkpoint")


def split_command(arguments: Sequence[str]) -> tuple[str | None, list[str], list[str]]:
    """Return the stage of a command, the arguments that follow it, and the options.

    Args:
        arguments: as the shell gives them; without a command they begin with an option.

    Raises:
        InputError: no such command, or a stage beside it.
    """
    if not arguments or arguments[0].startswith("-"):
        return None, [], list(arguments)
    command = arguments[0]
    if command not in COMMANDS:
        raise unknown_name("command", command, COMMANDS)
    first = next(
        (index for index, item in enumerate(arguments) if item.startswith("-") and item != "-"), len(arguments)
    )
    data, options = list(arguments[1:first]), list(arguments[first:])
    if any(item.partition("=")[0] == "--stage" for item in options):
        raise InputError(f"{command} and --stage exclude each other: {command} is --stage {COMMANDS[command]}")
    return COMMANDS[command], data, options


def takes(stage: str) -> str | None:
    """Return the option that the arguments of a stage's command are; None if it takes none."""
    return next((name for name in _KINDS if stage in stages_of(name)), None)


def placed(stage: str, data: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """Return a command's arguments as options.

    A run or a saved model among them is the checkpoint, where the stage takes images too; where none is, the first is,
    if it is neither a file or folder nor the name of a dataset or an image.

    Args:
        stage: of the command.
        data: its arguments.
        options: that were given by name.

    Raises:
        InputError: there are too many, or the same is given by name.
    """
    kind, rest = takes(stage), list(data)
    result: dict[str, Any] = {}
    if not rest:
        return result
    if kind is None:
        raise InputError(f"unexpected argument {rest[0]!r}: {stage} takes options only, which start with --")
    if kind != "checkpoint" and stage in stages_of("checkpoint") and "checkpoint" not in options:
        model = next((item for item in rest if _holds_model(item)), None)
        if model is None and not _holds_model(options.get("output_dir")) and not _is_data(rest[0], kind):
            model = rest[0]
        if model is not None:
            rest.remove(model)
            result["checkpoint"] = model
    if rest and kind in options:
        raise InputError(f"unexpected argument {rest[0]!r}: {flag(kind)} is given already")
    if len(rest) > 1 and kind not in _MANY:
        raise InputError(f"unexpected argument {rest[1]!r}: {stage} takes one {flag(kind)}, here {rest[0]!r}")
    if rest:
        result[kind] = rest if kind in _MANY else rest[0]
    return result


def _holds_model(name: str | None) -> bool:
    return name is not None and saved_model_in(Path(name).expanduser()) is not None


def _is_data(name: str, kind: str) -> bool:
    """Return whether an argument is a dataset or images, as `kind` says, rather than a model."""
    if Path(name).expanduser().exists():
        return True
    if kind == "dataset":
        return name in DATASET_NAMES or name.lower().endswith(ARCHIVE)
    kind_of_file = guess_type(name, strict=False)[0] or ""
    return name == "-" or is_address(name) or has_magic(name) or kind_of_file.startswith(("image/", "text/"))

"""The command line: parse arguments, run a stage, turn errors into one line and an exit status."""

import argparse
import errno
import json
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hf_cifar
from hf_cifar.config.aliases import canonical, meant
from hf_cifar.config.commands import COMMANDS, placed, split_command
from hf_cifar.config.fields import TRAINING, flag, merged
from hf_cifar.config.recipes import read_yaml
from hf_cifar.config.run_config import flags, nested
from hf_cifar.config.training_arguments import REPORT_TO, TRAIN_BATCH_SIZE
from hf_cifar.errors import HubError, InputError, Interrupted, TrainingError
from hf_cifar.run.request import Request
from hf_cifar.run.resolve import resolve
from hf_cifar.utils import interruption
from hf_cifar.utils.garbage import lasting
from hf_cifar.utils.packages import TRAIN, installed
from hf_cifar.utils.processes import is_main, rank

if TYPE_CHECKING:
    from hf_cifar.experiment import Result

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


class _Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `InputError`."""

    def error(self, message: str) -> NoReturn:
        """Raise an error that `main` turns into one line and exit status 2."""
        raise InputError(message)


def parse(arguments: list[str]) -> Request:
    """Resolve command-line arguments.

    Raises:
        InputError: an unknown command or flag, a value that does not fit, or a configuration file that cannot be used.
    """
    stage, data, options = split_command(arguments)
    namespace, rest = _parser().parse_known_args([_own_name(item) for item in options])
    values = vars(namespace)
    values.pop("debug")
    file = values.pop("config", None)
    more, rest = _leading(rest)
    ours, rest = _training_arguments(rest)
    of_probe, unknown = _training_arguments([_of_probe(item) for item in rest])
    if any(item.startswith("--") for item in unknown):
        # Named as they were given, with --probe- in front where it was.
        raise _unknown_option([item for item in rest if _of_probe(item) in unknown])
    data += more + unknown
    if stage is not None:
        values |= {"stage": stage, **placed(stage, data, values)}
    elif data:
        raise InputError(f"unexpected argument {data[0]!r}: options start with --, and a command comes first")
    values.update(ours)
    given = nested(values)
    if of_probe:
        given = merged(given, {"probe": {TRAINING: of_probe}})
    return resolve(given, read_yaml(Path(file)) if file else None)


def _leading(rest: list[str]) -> tuple[list[str], list[str]]:
    """Split what follows before the first option from the others."""
    first = next((index for index, item in enumerate(rest) if item.startswith("--")), len(rest))
    return rest[:first], rest[first:]


def main(arguments: list[str] | None = None) -> int:
    """Run the stage that the command line asks for, and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        text = _asked_for(arguments)
    except InputError as error:
        _complain(f"error: {error}")
        return 2
    if text is not None:
        with suppress(BrokenPipeError):
            print(text, flush=True)
        return 0
    with interruption.listening():
        return _run(arguments)


def _asked_for(arguments: list[str]) -> str | None:
    """Return the help, the version or the completion that is asked for; None where a stage is to be run.

    Raises:
        InputError: the completion of an unknown shell.
    """
    words = [word for item in arguments for word in item.split("=", 1)]
    asked = {"--help", "-h", "--help-all", "--version"} & set(arguments)
    if "--print-completion" in words and not asked:
        from hf_cifar.config.completion import completion

        return completion(" ".join(words[words.index("--print-completion") + 1 :][:1]))
    if not asked:
        return None
    if "--version" in asked:
        return f"hf-cifar {hf_cifar.__version__}"
    from hf_cifar.config.help_text import overview, screen_width, stage_help

    named = words[words.index("--stage") + 1 : words.index("--stage") + 2] if "--stage" in words else words[:1]
    if named and named[0] in COMMANDS:
        return stage_help(named[0], "--help-all" in asked, screen_width())
    return overview(screen_width())


def _run(arguments: list[str]) -> int:
    request: Request | None = None
    try:
        request = parse(arguments)
        # Fails before the heavy imports, within seconds, where nothing can come of the request.
        from hf_cifar.stages.preflight import check

        check(request)
        with lasting():
            from hf_cifar.experiment import import_stage, run_stage
            from hf_cifar.utils.allocator import keep_freed_memory

            import_stage(request)
        keep_freed_memory()
        result: Result = run_stage(request)
        if request.config.stages:
            _close(result, request)
        if is_main():
            print(json.dumps(result.summary(), ensure_ascii=False), flush=True)
        return result.status
    except KeyboardInterrupt as error:
        interrupted = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        trains = request is None or bool(request.config.stages)
        name = signal.Signals(interrupted.number).name
        _complain(str(interrupted) if trains else f"interrupted by {name}: the same command starts over")
        return 128 + interrupted.number
    except BrokenPipeError:
        return 1
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        _complain(f"error: {_one_line(error)}")
        return 2 if isinstance(error, InputError) else 1


def _close(result: "Result", request: Request) -> None:
    """Say what a finished training means and what to do next."""
    from hf_cifar.run.result import StageResult
    from hf_cifar.stages.closing import say_closing

    if isinstance(result, StageResult):
        say_closing(result, pushed=request.config.hub.push_to_hub)


def _one_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, (InputError, TrainingError, HubError)):
        return text
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        return f"cannot write {error.filename or 'a file'}: {error.strerror}"
    return f"{type(error).__name__}: {text} (--debug shows the traceback)"


def _complain(line: str) -> None:
    """Print the one line that says why there is no result."""
    where = "" if is_main() else f"[process {rank()}] "
    print(where + line, file=sys.stderr)


def _parser() -> _Parser:
    parser = _Parser(prog="hf-cifar", argument_default=argparse.SUPPRESS, allow_abbrev=False, add_help=False)
    parser.add_argument("--config")
    for name, (_, item) in flags().items():
        if item.type in (bool, bool | None):
            parser.add_argument(flag(name), action=argparse.BooleanOptionalAction, dest=name)
            continue
        parser.add_argument(
            flag(name),
            type=_reader(item.type),
            nargs="+" if item.type == list[str] else None,
            choices=item.metadata["choices"],
            dest=name,
        )
    parser.add_argument("--debug", action="store_true", default=False)
    return parser


def _reader(kind: Any) -> Any:
    """Return the function that turns the text of a flag into a value of its field's type."""
    for plain, reader in ((float, _numbers), (int, _whole_numbers)):
        if kind == list[plain]:  # type: ignore[valid-type]
            return reader
    for plain in (int, float):
        if kind in (plain, plain | None):
            return plain
    return str


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


_numbers.__name__ = "list of numbers"
_whole_numbers.__name__ = "list of whole numbers"


def _own_name(argument: str) -> str:
    """Return `--output_dir` as `--output-dir` and `--lr` as `--learning-rate`; values stay as they are."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return flag(canonical(name[2:].replace("-", "_"))) + equals + value


def _of_probe(argument: str) -> str:
    """Return `--probe-num-train-epochs`, which with lpft is the probe's alone, as a training argument."""
    return argument.replace("--probe-", "--", 1) if argument.startswith("--probe-") else argument


def _training_arguments(rest: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the given flags that are fields of TrainingArguments, by name, and what is left."""
    if not rest:
        return {}, []
    if not installed(*TRAIN):
        name = rest[0].partition("=")[0]
        near = meant(name[2:].replace("-", "_"), list(flags()))
        raise InputError(f"unknown option {name!r}: {near}if it is one of training, pip install 'hf_cifar[train]'")
    from transformers import HfArgumentParser, TrainingArguments

    theirs = HfArgumentParser(TrainingArguments, allow_abbrev=False)  # type: ignore[arg-type]
    theirs.error = _Parser.error.__get__(theirs)  # type: ignore[method-assign]
    theirs.add_argument(flag(TRAIN_BATCH_SIZE), type=int)
    for action in theirs._actions:
        action.default = argparse.SUPPRESS
        if action.dest == REPORT_TO:  # which their parser takes one name of
            action.nargs = "+"
    given, unknown = theirs.parse_known_args(rest)
    return vars(given), unknown


def _unknown_option(rest: list[str]) -> InputError:
    from transformers import TrainingArguments

    known = [*flags(), "config", "debug", "version", "help", TRAIN_BATCH_SIZE]
    theirs = list(TrainingArguments.__dataclass_fields__)
    known += theirs + [f"probe_{name}" for name in theirs]
    name = next(item for item in rest if item.startswith("--")).partition("=")[0]
    near = meant(name[2:].replace("-", "_"), known)
    return InputError(f"unknown option {name!r}: {near}--help lists the options")

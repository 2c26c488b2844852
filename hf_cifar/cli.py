"""The command line: parse arguments, run a stage, turn errors into one line and an exit status."""

import argparse
import errno
import json
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hf_cifar.config.fields import TRAINING, flag, merged
from hf_cifar.config.recipes import read_yaml
from hf_cifar.config.run_config import flags, nested
from hf_cifar.config.training_arguments import TRAIN_BATCH_SIZE
from hf_cifar.errors import HubError, InputError, Interrupted, TrainingError, hint
from hf_cifar.run.resolve import Request, resolve
from hf_cifar.utils import interruption
from hf_cifar.utils.garbage import lasting
from hf_cifar.utils.packages import TRAIN, installed
from hf_cifar.utils.processes import is_main, rank

if TYPE_CHECKING:
    from hf_cifar.experiment import Result

EPILOG = """\
Every field of transformers.TrainingArguments is a flag too and overrides the recipe, such as
  --learning-rate 0.01 --num-train-epochs 20 --train-batch-size 64 --dataloader-num-workers 4
(--train-batch-size is the batch size over all processes). With --stage lpft they apply to fine-tuning, and
--probe-learning-rate and the like to the probe; those that say how to compute, such as the workers, apply to both.
An option that does nothing in a stage is refused. The last line of standard output is one JSON object.
Exit status: 0 success, 2 the request or its input is wrong, 1 any other failure, 130 Ctrl-C, 143 SIGTERM."""

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


class _Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `InputError`."""

    def error(self, message: str) -> NoReturn:
        """Raise an error that `main` turns into one line and exit status 2."""
        raise InputError(message)


def parse(arguments: list[str]) -> Request:
    """Resolve command-line arguments.

    Raises:
        InputError: an unknown flag, a value that does not fit, or a configuration file that cannot be used.
    """
    namespace, rest = _parser().parse_known_args([_dashed(item) for item in arguments])
    values = vars(namespace)
    values.pop("debug")
    file = values.pop("config", None)
    ours, rest = _training_arguments(rest)
    of_probe, unknown = _training_arguments([_of_probe(item) for item in rest])
    if unknown:
        # Named as they were given, with --probe- in front where it was.
        raise _unknown_option([item for item in rest if _of_probe(item) in unknown])
    values.update(ours)
    given = nested(values)
    if of_probe:
        given = merged(given, {"probe": {TRAINING: of_probe}})
    return resolve(given, read_yaml(Path(file)) if file else None)


def main(arguments: list[str] | None = None) -> int:
    """Run the stage that the command line asks for, and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with interruption.listening():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    request: Request | None = None
    try:
        request = parse(arguments)
        # Fails before the heavy imports, within seconds, where nothing can come of the request.
        from hf_cifar.stages.preflight import check

        check(request)
        with lasting():
            from hf_cifar.experiment import import_stage, run_stage

            import_stage(request)
            reads_dataset = request.dataset is not None
            if "transformers" in sys.modules and (reads_dataset or request.config.stage not in ("export", "push")):
                _hush_libraries(reads_dataset=request.dataset is not None)
        result: Result = run_stage(request)
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


def _hush_libraries(reads_dataset: bool) -> None:
    """Silence the libraries: they report what is meant to happen as if it were a fault."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if reads_dataset:
        import datasets

        datasets.disable_progress_bars()


def _parser() -> _Parser:
    parser = _Parser(
        prog="hf-cifar",
        description="From linear probe to fine-tuned image classifier, honestly evaluated.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML of configuration values, such as a run's run.yaml")
    for name, (_, item) in flags().items():
        plain = isinstance(item.default, (str, int, float)) and item.default is not False
        text = item.metadata["help"] + (f" (default: {item.default})" if plain else "")
        if item.type in (bool, bool | None):
            parser.add_argument(flag(name), action=argparse.BooleanOptionalAction, dest=name, help=text)
            continue
        parser.add_argument(
            flag(name),
            type=_reader(item.type),
            nargs="+" if item.type == list[str] else None,
            choices=item.metadata["choices"],
            dest=name,
            metavar=item.metadata["metavar"],
            help=text.replace("%", "%%"),
        )
    parser.add_argument("--debug", action="store_true", default=False, help="show the traceback of an error")
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


def _dashed(argument: str) -> str:
    """Return `--output_dir` as `--output-dir`; values stay as they are."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _of_probe(argument: str) -> str:
    """Return `--probe-num-train-epochs`, which with lpft is the probe's alone, as a training argument."""
    return argument.replace("--probe-", "--", 1) if argument.startswith("--probe-") else argument


def _training_arguments(rest: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the given flags that are fields of TrainingArguments, by name, and what is left."""
    if not rest:
        return {}, []
    if not rest[0].startswith("--"):
        raise InputError(f"unexpected argument {rest[0]!r}: options start with --")
    if not installed(*TRAIN):
        name = rest[0].partition("=")[0]
        near = hint(name, [flag(known) for known in flags()])
        raise InputError(f"unknown option {name!r}: {near}if it is one of training, pip install 'hf_cifar[train]'")
    from transformers import HfArgumentParser, TrainingArguments

    theirs = HfArgumentParser(TrainingArguments, allow_abbrev=False)  # type: ignore[arg-type]
    theirs.error = _Parser.error.__get__(theirs)  # type: ignore[method-assign]
    theirs.add_argument(flag(TRAIN_BATCH_SIZE), type=int)
    for action in theirs._actions:
        action.default = argparse.SUPPRESS
    given, unknown = theirs.parse_known_args(rest)
    return vars(given), unknown


def _unknown_option(rest: list[str]) -> InputError:
    from transformers import TrainingArguments

    known = [flag(name) for name in flags()] + ["--config", "--debug", flag(TRAIN_BATCH_SIZE)]
    theirs = [flag(name) for name in TrainingArguments.__dataclass_fields__]
    known += theirs + [name.replace("--", "--probe-", 1) for name in theirs]
    name = next((item for item in rest if item.startswith("--")), rest[0])
    name = name.partition("=")[0]
    return InputError(f"unknown option {name!r}: {hint(name, known)}--help lists the options")

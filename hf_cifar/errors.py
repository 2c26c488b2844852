"""Errors that end a run in one line, and the nearest-name hint that goes into them."""

import signal
from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """The request, or what it names, is wrong: the command line exits with status 2.

    The message is one line that says what is wrong, where, and what to do.
    """


class TrainingError(Exception):
    """Training cannot continue: the command line exits with status 1.

    The message is one line that says what happened, when, and what to try.
    """


class HubError(Exception):
    """The request is right, but the model did not reach the Hub: exit status 1.

    The message is one line that says what happened, and how to repeat it; everything is still on disk.
    """


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop: the command line exits with status 128 + its number.

    Args:
        number: of the signal.
        saved: the checkpoint that was made, if training had begun.
    """

    def __init__(self, number: int, saved: str | None = None) -> None:
        self.number = number
        self.saved = saved
        where = f"checkpoint {saved} is saved; " if saved else ""
        super().__init__(
            f"interrupted by {signal.Signals(number).name}: {where}the same command with --resume continues from there"
        )


def hint(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'X'? ` for the nearest of `known`, or nothing if none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return an `InputError` for a name that does not exist, with the nearest one that does.

    Args:
        kind: of the name, such as "recipe" or "column".
        name: that was asked for.
        known: every name that would have been accepted.
    """
    names = list(known)
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return InputError(f"unknown {kind} {name!r}: {hint(name, names)}known: {shown or 'none'}")

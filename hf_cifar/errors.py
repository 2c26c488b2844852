"""Errors that end a run in one line, and the nearest-name hint that goes into them."""

import re
import signal
from collections.abc import Iterable
from difflib import SequenceMatcher


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
    """Return `did you mean 'X'? ` for the nearest of `known`, or nothing if none is near.

    Near is what differs in a letter of three, or has every word of the name: `epochs` in `num-train-epochs`.
    """
    near = max(known, key=lambda other: _likeness(name, other), default="")
    return f"did you mean {near!r}? " if near and _likeness(name, near) > 0 else ""


def _likeness(name: str, other: str) -> float:
    """Return how like a name is to what may have been meant: 1 the same, 0 not at all."""
    one, two = name.casefold().strip("-"), other.casefold().strip("-")
    allowed = max(1, len(one) // 3)
    if abs(len(one) - len(two)) <= allowed and _distance(one, two) <= allowed:
        return 1 + SequenceMatcher(None, one, two).ratio()
    words, others = (set(re.findall(r"[^\W_]+", text)) for text in (one, two))
    return len(one) / len(two) if len(one) > 2 and words and words <= others else 0.0


def _distance(one: str, two: str) -> int:
    """Return how many letters must be added, left out, changed or swapped with their neighbour."""
    before: list[int] = []
    last = list(range(len(two) + 1))
    for row, letter in enumerate(one, start=1):
        current = [row]
        for column, other in enumerate(two, start=1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == two[column - 2] and one[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, last = last, current
    return last[-1]


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

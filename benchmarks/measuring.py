"""Measure two ways of doing the same in turn, and check that both do the same."""

import contextlib
import gc
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.row import Goal, Kind, Row
from hf_cifar.utils.allocator import has_glibc, keep_freed_memory, set_thresholds

GLIBC_HIGHEST = (64 * 2**20, 32 * 2**20)  # bytes, of trimming and of mapping: see mallopt(3)


class DifferentResultsError(Exception):
    """Both sides do not compute the same; the message says how far they are apart."""


class FigureError(Exception):
    """A figure cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Timed:
    """The result of a run that measures its own seconds, without what belongs to neither side."""

    seconds: float
    result: Any


@dataclass(frozen=True)
class Comparison:
    """Two ways of doing the same.

    Attributes:
        figure, name, baseline, kind, unit, goal: as of `Row`.
        ours, theirs: do it once and return the outcome, or that as `Timed`.
        check: gets the outcomes of all rounds of both; says in words what agrees, or raises `DifferentResultsError`.
        sample: turns the seconds of a run into the sample of the row.
    """

    figure: str
    name: str
    baseline: str
    kind: Kind
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    check: Callable[[list[Any], list[Any]], str]
    goal: Goal | None = None
    unit: str = "s"
    sample: Callable[[float], float] = float

    def measure(self, rounds: int) -> Row:
        """Run both in turn, after one round that does not count.

        Ours keeps freed memory, as the command line does; the baseline has the highest thresholds that glibc raises
        its own to.
        """
        samples: tuple[list[float], list[float]] = ([], [])
        outcomes: tuple[list[Any], list[Any]] = ([], [])
        for number in range(rounds + 1):
            for side, (run, allocate) in enumerate(((self.ours, keep_freed_memory), (self.theirs, give_back_as_usual))):
                gc.collect()
                allocate()
                start = time.perf_counter()
                outcome = run()
                seconds = time.perf_counter() - start
                if isinstance(outcome, Timed):
                    seconds, outcome = outcome.seconds, outcome.result
                outcomes[side].append(outcome)
                if number:
                    samples[side].append(self.sample(seconds))
        try:
            agrees, compared = True, self.check(*outcomes)
        except DifferentResultsError as error:
            agrees, compared = False, str(error)
        return Row(self.figure, self.name, self.baseline, self.kind, self.unit, *samples, self.goal, agrees, compared)


def give_back_as_usual() -> None:
    """Let the allocator return freed memory to the system again."""
    if has_glibc():
        set_thresholds(*GLIBC_HIGHEST)


def require(holds: bool, words: str) -> str:
    """Return what was compared, in words.

    Raises:
        DifferentResultsError: it does not hold.
    """
    if not holds:
        raise DifferentResultsError(words)
    return words


def python(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run this Python with some arguments in a fresh process, and return its standard output.

    Raises:
        FigureError: it fails.
    """
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise FigureError(f"python {' '.join(arguments)[:200]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is printed within the block; it is printed if the block fails."""
    held = io.StringIO()
    try:
        with contextlib.redirect_stderr(held), contextlib.redirect_stdout(held):
            yield
    except BaseException:
        sys.stderr.write(held.getvalue())
        raise

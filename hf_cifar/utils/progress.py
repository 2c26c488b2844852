"""Progress of long steps, and log lines: drawn where a person watches, sparse lines in a log file."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar, overload

from hf_cifar.utils import interruption
from hf_cifar.utils.formatting import number
from hf_cifar.utils.notebook import in_notebook
from hf_cifar.utils.processes import is_main

if TYPE_CHECKING:
    from hf_cifar.utils.displays import Display

T = TypeVar("T")


class Bar(Generic[T]):
    """The progress of one step, whose loop ends where a signal came, even if the exception of its handler was lost.

    Args:
        items: to iterate over; None where the caller says by `update` how far it is.
        title: of the step.
        unit: that is counted, such as `image`.
        total: number of units; default: that of `items`.
        done: units that were done before, such as by the run that is resumed.

    Attributes:
        phase: where in the step it is, such as `epoch 3/10`.
        note: a result so far.
        aside: what is shown beside the note where there is room.
    """

    def __init__(
        self, items: Iterable[T] | None, title: str, unit: str, total: int | None = None, done: int = 0
    ) -> None:
        self.items = items
        self.title, self.unit = title, unit
        self.total = len(items) if total is None and isinstance(items, Sized) else total
        self.done = done
        self.phase = self.note = self.aside = ""
        # What comes before the first units, such as the start of workers, says nothing of the speed.
        self._first: tuple[float, int] | None = None
        self.display = _displays.open(self)

    def __iter__(self) -> Iterator[T]:
        with self:
            for item in self.items or ():
                interruption.check()
                yield item
                self.update()

    def __enter__(self) -> "Bar[T]":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """Add units that are done."""
        self.move(self.done + count)

    def move(self, done: int) -> None:
        """Set the number of units that are done."""
        interruption.check()
        self.done = done
        if self._first is None:
            self._first = time.monotonic(), done
        if self.display is not None:
            self.display.refresh(self)

    def tell(self) -> None:
        """Show phase and note now: they are worth a line in a log file."""
        if self.display is not None:
            self.display.refresh(self, worth_a_line=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.display is not None:
            self.display = None
            _displays.close(self)

    @property
    def heading(self) -> str:
        """Return title and phase."""
        return f"{self.title}, {self.phase}" if self.phase else self.title

    @property
    def fraction(self) -> float | None:
        """Return how much is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def speed(self) -> float | None:
        """Return the units a second, since the first that were done here."""
        if self._first is None or self.done <= self._first[1]:
            return None
        return (self.done - self._first[1]) / max(time.monotonic() - self._first[0], 1e-6)

    @property
    def shown_speed(self) -> str:
        """Return the speed as `212 images/s`."""
        speed = self.speed
        return "" if speed is None else f"{number(round(speed, 1) if speed < 10 else round(speed))} {self.unit}s/s"

    @property
    def shown_time_left(self) -> str:
        """Return the time left as `1:12 left`."""
        speed = self.speed
        if speed is None or self.total is None:
            return ""
        minutes, seconds = divmod(round((self.total - self.done) / speed), 60)
        hours, minutes = divmod(minutes, 60)
        return (f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}") + " left"


class _Displays:
    """The display of the open bars, made for the first of them, and whether bars are hidden."""

    def __init__(self) -> None:
        self.display: Display | None = None
        self.bars: list[Bar[Any]] = []
        self.hidden = 0

    def open(self, bar: Bar[Any]) -> "Display | None":
        if self.hidden or not is_main() or os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
            return None
        if self.display is None:
            from hf_cifar.utils.displays import display_for  # rich, where a bar is drawn

            self.display = display_for(sys.stderr)
        self.bars.append(bar)
        self.display.open(bar)
        return self.display

    def close(self, bar: Bar[Any]) -> None:
        assert self.display is not None
        self.bars.remove(bar)
        display, self.display = self.display, self.display if self.bars else None
        display.close(bar, last=not self.bars)


_displays = _Displays()


@overload
def progress(items: None, title: str, unit: str, total: int | None = None, done: int = 0) -> Bar[Any]: ...
@overload
def progress(items: Iterable[T], title: str, unit: str, total: int | None = None, done: int = 0) -> Bar[T]: ...
def progress(items: Iterable[T] | None, title: str, unit: str, total: int | None = None, done: int = 0) -> Bar[T]:
    """Iterate over items, or count units by `update`, with the progress shown by the main process; see `Bar`."""
    return Bar(items, title, unit, total, done)


@contextmanager
def bars(shown: bool = True) -> Iterator[None]:
    """Show the progress of what is done within the context, or hide it; no bar stays, however the context ends."""
    before = list(_displays.bars)
    _displays.hidden += not shown
    try:
        yield
    finally:
        _displays.hidden -= not shown
        for bar in [bar for bar in _displays.bars if bar not in before]:
            bar.close()


def say(line: str) -> None:
    """Write a log line to standard error, in the main process; standard output is for the result.

    A notebook, which shows standard error as a fault, gets it on standard output.
    """
    if is_main():
        write_above(line, sys.stdout if in_notebook() else sys.stderr)


def write_above(line: str, file: TextIO) -> None:
    """Write a line to a file, above the bars where these are drawn on the same terminal."""
    if _displays.display is not None:
        _displays.display.write(line, file)
    else:
        print(line, file=file, flush=True)

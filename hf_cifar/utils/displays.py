"""What progress looks like: bars on a terminal and in a notebook, sparse lines in a log file."""

import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from hf_cifar.utils.notebook import in_notebook

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from hf_cifar.utils.progress import Bar

LINE_SECONDS = 10.0  # a log file gets no two lines within
LINE_PART = 0.1  # of the time that a step has taken: the longer, the rarer are its lines
DRAW_SECONDS = {"terminal": 0.1, "notebook": 0.5}
NESTED_SECONDS = 0.5  # a bar beside another is drawn after, or short ones would flicker
WIDE = 100  # columns
# Of a cell of JupyterLab beside its side bar, 1280 pixels in all: what goes beyond is cut, and rich cannot know.
NOTEBOOK_COLUMNS, NOTEBOOK_BAR = 84, 14


class Display(Protocol):
    """Shows the open bars."""

    def open(self, bar: "Bar[Any]") -> None:
        """Show a bar."""

    def refresh(self, bar: "Bar[Any]", worth_a_line: bool = False) -> None:
        """Show how far a bar is; `worth_a_line` where there is something new beside that."""

    def close(self, bar: "Bar[Any]", last: bool) -> None:
        """Take a bar away; `last` where no other is open."""

    def write(self, line: str, file: TextIO) -> None:
        """Write a line to a file, which the bars may be on."""


def display_for(stream: TextIO) -> Display:
    """Return what shows bars to whoever reads a stream.

    Args:
        stream: standard error.
    """
    notebook = in_notebook()
    if notebook or stream.isatty():
        from rich.console import Console

        console = Console(file=None if notebook else stream, width=NOTEBOOK_COLUMNS if notebook else None)
        if notebook or (console.is_terminal and not console.is_dumb_terminal):
            return Drawn(console, "notebook" if notebook else "terminal")
    return Lines(stream)


class Lines:
    """A line at times, for a log file.

    Args:
        stream: to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.begun: dict[int, float] = {}
        self.written = time.monotonic()

    def open(self, bar: "Bar[Any]") -> None:
        """Begin to count the time of a bar."""
        self.begun[id(bar)] = time.monotonic()

    def refresh(self, bar: "Bar[Any]", worth_a_line: bool = False) -> None:
        """Write a line where the last one is long enough ago."""
        if bar.fraction == 1.0 and not worth_a_line:
            return  # what is done is no news, and would take the place of the epoch that follows it
        now = time.monotonic()
        taken = 0.0 if worth_a_line else now - self.begun[id(bar)]
        if now - self.written < max(LINE_SECONDS, LINE_PART * taken):
            return
        self.written = now
        done = "" if bar.fraction is None else f"{bar.fraction:.0%}"
        parts = [part for part in (done, bar.shown_speed, bar.shown_time_left, bar.note, bar.aside) if part]
        self.write(f"{bar.heading}: {', '.join(parts)}", self.stream)

    def close(self, bar: "Bar[Any]", last: bool) -> None:
        """Forget a bar."""
        del self.begun[id(bar)]

    def write(self, line: str, file: TextIO) -> None:
        """Write a line as it is."""
        print(line, file=file, flush=True)


class Drawn:
    """Bars at the bottom of a terminal, or below a cell of a notebook, which are gone when they are done.

    Nothing is drawn by a thread of its own: worker processes are forked meanwhile.

    Args:
        console: that draws.
        place: terminal or notebook.
    """

    def __init__(self, console: Any, place: str) -> None:
        self.console, self.place = console, place
        self.progress = _progress(console, None if place == "terminal" else NOTEBOOK_BAR)
        self.tasks: dict[int, TaskID] = {}
        self.begun: dict[int, float] = {}
        self.drawn = 0.0
        self.cell: Any = None
        if place == "terminal":
            self.progress.start()
        else:
            from IPython.display import display

            self.cell = display(self.progress, display_id=True)

    def open(self, bar: "Bar[Any]") -> None:
        """Draw a bar, at once if it is alone."""
        alone = not self.tasks
        self.begun[id(bar)] = time.monotonic()
        self.tasks[id(bar)] = self.progress.add_task("", total=bar.total, visible=alone, **self._fields(bar))
        self._draw()

    def refresh(self, bar: "Bar[Any]", worth_a_line: bool = False) -> None:
        """Draw a bar as it is now, so many times a second at most."""
        now = time.monotonic()
        if now - self.drawn < DRAW_SECONDS[self.place] and not worth_a_line:
            return
        task = self.tasks[id(bar)]
        visible = now - self.begun[id(bar)] > NESTED_SECONDS or self.progress.tasks[0].id == task
        self.progress.update(task, completed=bar.done, visible=visible, **self._fields(bar))
        self._draw()

    def close(self, bar: "Bar[Any]", last: bool) -> None:
        """Take a bar away, and with the last one everything that was drawn."""
        self.progress.remove_task(self.tasks.pop(id(bar)))
        del self.begun[id(bar)]
        if not last:
            self._draw()
        elif self.cell is None:
            self.progress.stop()
        else:
            from IPython.display import HTML

            self.cell.update(HTML(""))

    def write(self, line: str, file: TextIO) -> None:
        """Write a line, above the bars where the file is the same terminal."""
        # The stream itself: while bars are drawn, rich stands in for standard error, would wrap long lines, and before
        # rich 15 says that it is no terminal.
        stream = getattr(file, "rich_proxied_file", file)
        if self.cell is not None or not stream.isatty():
            print(line, file=file, flush=True)
            return
        self.progress.stop()
        print(line, file=stream, flush=True)
        self.progress.start()

    def _draw(self) -> None:
        self.drawn = time.monotonic()
        if self.cell is None:
            self.progress.refresh()
        else:
            self.cell.update(self.progress)

    def _fields(self, bar: "Bar[Any]") -> dict[str, Any]:
        note = f"{bar.note}, {bar.aside}" if bar.aside and self.console.width >= WIDE else bar.note
        return {
            "heading": bar.heading,
            "done": "" if bar.fraction is None else f"{bar.fraction:4.0%}",
            "speed": bar.shown_speed,
            "left": bar.shown_time_left,
            "note": note,
        }


def _progress(console: Any, bar_width: int | None) -> "Progress":
    """Return rich's bars, with our words beside them.

    Args:
        console: that draws.
        bar_width: in columns; default: what the words leave of the console.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.fields[heading]}", style="bold", markup=False),
        BarColumn(bar_width=bar_width),
        *(TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("done", "speed", "left", "note")),
        console=console,
        auto_refresh=False,
        transient=True,
        expand=bar_width is None,
        redirect_stdout=False,
    )

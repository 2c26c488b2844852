"""How every figure looks, and how it becomes a file.

Figures are drawn without pyplot: nothing of a notebook's or of another thread's state is used or left changed. They are
narrow, so that their letters are still read where a phone shows them at half size, and their colours are those of Okabe
and Ito (2008), which people with any common form of colour blindness tell apart and which differ in lightness too.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.utils.files import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.6  # inches; a phone shows them at 90 dots (of CSS) an inch, so that 8 points are read as 10
DPI = 180
SMALL = 8  # points
INK, MUTED, GRID, PAPER = "#1b1f24", "#5b6470", "#e3e6ea", "#ffffff"
PALE = "#c3e0f3"  # under marks that are read in grey too
BLUE, ORANGE, VERMILION, SKY, GREEN, PURPLE = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73", "#CC79A7"
_LOCK = threading.RLock()


@contextmanager
def picture(path: Path, width: float, height: float, title: str, subtitle: str = "") -> "Iterator[Figure]":
    """Yield an empty figure; what is drawn on it becomes a PNG at `path`, the same bytes each time.

    Args:
        path: of the PNG, written whole or not at all.
        width: inches.
        height: inches.
        title: what the figure shows, at its top left.
        subtitle: how to read it, below.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # The settings are the process's: they are ours only while this draws, and two threads draw in turn.
    with _LOCK, matplotlib.rc_context(_settings()):
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        figure.text(0.08 / width, 1 - 0.06 / height, plain(title), size=10, weight="bold", va="top")
        figure.text(0.08 / width, 1 - 0.27 / height, plain(subtitle), size=SMALL, color=MUTED, va="top")
        yield figure
        metadata: dict[str, Any] = {"Software": None}
        write_aside(path, lambda aside: figure.savefig(aside, format="png", metadata=metadata))


def axes(figure: "Figure", left: float, bottom: float, width: float, height: float, **options: Any) -> "Axes":
    """Axes at a place in inches: laying them out by what they hold costs more than drawing them."""
    whole_width, whole_height = figure.get_size_inches()
    place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    return figure.add_axes(place, **options)


def short(text: str, limit: int = 16) -> str:
    """Text of at most so many characters, ready to be drawn: of a longer one its beginning and its end."""
    text = " ".join(text.split())
    end = limit // 3
    return plain(text if len(text) <= limit else f"{text[: limit - end - 1]}…{text[-end:]}")


def plain(text: str) -> str:
    """Text that is drawn as it stands: no formula between dollars, an empty box for a character the font lacks."""
    known = _characters()
    return "".join(letter if ord(letter) in known else "□" for letter in text).replace("$", r"\$")


def room_for(labels: list[str], size: float = SMALL) -> float:
    """Inches that the longest of some labels takes at a size in points, rather too many than too few."""
    return max((len(label.replace(r"\$", "$")) for label in labels), default=0) * size * 0.6 / 72


@functools.cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


@functools.cache
def _settings() -> Any:
    """Every setting that a drawing depends on: matplotlib's own, and over them those of this package."""
    import matplotlib

    own = {
        "font.family": ["DejaVu Sans"],
        "font.size": 8.5,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.labelsize": 8.5,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "legend.fontsize": SMALL,
        "legend.frameon": False,
        "figure.facecolor": PAPER,
        "hatch.linewidth": 0.6,
    }
    drawing = (
        *("axes.", "figure.", "font.", "text.", "xtick.", "ytick.", "grid.", "legend.", "lines.", "patch.", "hatch."),
        *("image.", "path.", "savefig.", "mathtext.", "agg.", "markers.", "scatter.", "errorbar.", "axes3d."),
    )
    defaults = {name: value for name, value in dict.items(matplotlib.rcParamsDefault) if name.startswith(drawing)}
    return defaults | own

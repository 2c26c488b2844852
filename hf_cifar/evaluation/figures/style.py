"""Style of all figures: sizes, palette, matplotlib settings, and writing them as PNG.

Figures are drawn without pyplot: the state of a notebook or of another thread is neither used nor changed. They are
narrow, so that text stays legible on a phone, and use the palette of Okabe and Ito (2008), which is safe for the common
forms of colour blindness and whose colours differ in lightness.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from hf_cifar.evaluation.figures.fonts import DEFAULT, drawable, families, warn_of_missing
from hf_cifar.utils.files import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.6  # inches; a phone shows them at 90 CSS pixels an inch, where 8 points look like 10
DPI = 180
SMALL = 8  # points
INK, MUTED, GRID, PAPER = "#1b1f24", "#5b6470", "#e3e6ea", "#ffffff"
PALE = "#c3e0f3"  # fill under marks, legible in greyscale
BLUE, ORANGE, VERMILION, SKY, GREEN, PURPLE = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73", "#CC79A7"
# Of series in one plot, in this order.
SERIES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, MUTED, INK)
_LOCK = threading.RLock()


@contextmanager
def png_figure(path: Path, width: float, height: float, title: str, subtitle: str = "") -> "Iterator[Figure]":
    """Yield an empty figure and save it as PNG, byte for byte reproducibly.

    Args:
        path: of the PNG, written whole or not at all.
        width, height: in inches.
        title: at the top left.
        subtitle: how to read the figure, below the title.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    # The settings are global to the process: change them only while drawing, one thread at a time.
    with _LOCK, matplotlib.rc_context(_settings()):
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        figure.text(0.08 / width, 1 - 0.06 / height, escape_text(title), size=10, weight="bold", va="top")
        figure.text(0.08 / width, 1 - 0.27 / height, escape_text(subtitle), size=SMALL, color=MUTED, va="top")
        yield figure
        if families() != [DEFAULT]:  # names have characters that only another font has
            matplotlib.rcParams["font.family"] = families()
            for text in figure.findobj(Text):
                # Few fonts have a bold cut, and matplotlib logs that of each, needed or not.
                if text.get_fontweight() != "bold" or not text.get_text().isascii():
                    text.set_fontfamily(families())
        metadata: dict[str, Any] = {"Software": None}
        write_aside(path, lambda aside: figure.savefig(aside, format="png", metadata=metadata))
        warn_of_missing()


def add_axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Add axes at a position in inches; an automatic layout would take longer than the drawing."""
    figure_width, figure_height = figure.get_size_inches()
    position = (left / figure_width, bottom / figure_height, width / figure_width, height / figure_height)
    return figure.add_axes(position)


def percent_ticks(axis: Any, which: str, top: float = 1.0) -> None:
    """Label the x or y axis from 0% to 100%.

    Args:
        axis: matplotlib axes.
        which: "x" or "y".
        top: upper limit of the axis.
    """
    ticks = [index / 5 for index in range(6)]
    getattr(axis, f"set_{which}ticks")(ticks, [f"{tick:.0%}" for tick in ticks])
    getattr(axis, f"set_{which}lim")(0, top)


def shorten(text: str, limit: int = 16) -> str:
    """Return text ready to be drawn, of at most `limit` characters: of a longer one its beginning and its end."""
    text = " ".join(text.split())
    end = limit // 3
    return escape_text(text if len(text) <= limit else f"{text[: limit - end - 1]}…{text[-end:]}")


def escape_text(text: str) -> str:
    """Return text that is drawn literally: no math between dollars, a box for a character that no font has."""
    return drawable(text).replace("$", r"\$")


def text_width(labels: list[str], size: float = SMALL) -> float:
    """Return an upper bound of the width of the longest label in inches, at a font size in points."""
    return max((_columns(label.replace(r"\$", "$")) for label in labels), default=0) * size * 0.6 / 72


def _columns(text: str) -> float:
    """Return the length of a text in Latin letters; those of other scripts are wider."""
    return sum(
        1.7 if east_asian_width(character) in "WF" else 1.0 if character < "\u0370" else 1.25 for character in text
    )


@functools.cache
def _settings() -> Any:
    """Return every setting that drawing depends on: matplotlib's defaults, overridden by those of this package."""
    import matplotlib

    own = {
        "font.family": [DEFAULT],
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

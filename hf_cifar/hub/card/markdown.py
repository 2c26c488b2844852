"""Names from outside and numbers, as Markdown that shows them as they are."""

import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

# An underscore inside of a word means nothing.
_SPECIAL = re.compile(r"([\\`*{}\[\]#|~$]|(?<![^\W_])_|_(?![^\W_]))")
NOTHING = "–"


def plain(value: Any) -> str:
    """Text from outside, such as the name of a class, on one line and with nothing in it that is Markdown or HTML."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    # A bare address would become a link.
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")


def code(value: Any, cell: bool = False) -> str:
    """Text from outside as a code span, on one line; in the `cell` of a table a bar must not end it."""
    text = " ".join(str(value).split())
    text = text.replace("|", "\\|") if cell else text
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}" if text else NOTHING


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table of cells that are Markdown already.

    Args:
        head: of the columns.
        rows: as wide as the head.
        left: how many columns are aligned to the left; the others, which hold numbers, to the right.
    """
    rule = [":---" if place < left else "---:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def bold(text: str, when: bool = True) -> str:
    """`text`, in bold where `when` holds."""
    return f"**{text}**" if when and text != NOTHING else text


def percent(fraction: float | None, count: int = 0) -> str:
    """A fraction in percent, cut off and never rounded up.

    Args:
        fraction: such as 0.97772; None is shown as a dash.
        count: of the images that it is a fraction of: above 10,000 more than two decimals are needed.
    """
    return NOTHING if fraction is None else f"{points(fraction, count)} %"


def points(fraction: float, count: int = 0) -> str:
    """As `percent`, without the sign."""
    decimals = max(2, len(str(count - 1)) - 2) if count else 2
    return _cut(fraction * 100, decimals, ROUND_FLOOR)


def loss(value: float | None) -> str:
    """A number of which less is better, to four decimals, never rounded down."""
    return NOTHING if value is None else _cut(value, 4, ROUND_CEILING)


def _cut(value: float, decimals: int, rounding: str) -> str:
    # What is off by less than 1e-10 comes from binary fractions: 0.29 * 100 is 28.999999999999996.
    exact = Decimal(repr(float(value))).quantize(Decimal("1e-10"))
    return f"{exact.quantize(Decimal(1).scaleb(-decimals), rounding=rounding):,f}"


def duration(seconds: float) -> str:
    """Seconds as they are read: `12.5 s`, `13 min 34 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else list(items))

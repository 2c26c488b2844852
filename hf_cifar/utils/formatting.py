"""Numbers as people read them, the same on screen, in the report, in the card and in a comparison.

Rounding is never in a model's favour: what is better when high is rounded down, what is better when low is rounded up,
and an interval is rounded outwards. So a number reads the same wherever it is shown, and never better than it is.
"""

import base64
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

MISSING = "–"
MIME_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def percent(fraction: float | None, num_examples: int = 0, decimals: int = 2) -> str:
    """Return a fraction in percent, rounded down: `97.77%`.

    Args:
        fraction: such as 0.97772; None is shown as a dash.
        num_examples: images that it is a fraction of; more than 10,000 need more decimals.
        decimals: at least so many.
    """
    return MISSING if fraction is None else f"{points(fraction, num_examples, decimals)}%"


def points(fraction: float, num_examples: int = 0, decimals: int = 2, *, up: bool = False) -> str:
    """Return a fraction in percentage points without the sign, rounded down, or up where asked."""
    decimals = max(decimals, len(str(num_examples - 1)) - 2) if num_examples else decimals
    return _rounded(fraction * 100, decimals, ROUND_CEILING if up else ROUND_FLOOR)


def interval(bounds: Sequence[float], num_examples: int = 0, decimals: int = 2) -> str:
    """Return an interval of fractions in percent, rounded outwards: `95.66% to 98.87%`."""
    low, high = bounds
    return f"{points(low, num_examples, decimals)}% to {points(high, num_examples, decimals, up=True)}%"


def signed_interval(bounds: Sequence[float]) -> tuple[str, str]:
    """Return the bounds of a difference of fractions in points with their signs, rounded outwards.

    With as many decimals as it takes for a bound that is not 0 not to read as 0: an interval without 0 shows none.
    """
    low, high = bounds
    for decimals in range(2, 9):
        shown = points(low, decimals=decimals), points(high, decimals=decimals, up=True)
        if (low <= 0 or float(shown[0]) > 0) and (high >= 0 or float(shown[1]) < 0):
            break
    return _signed(shown[0]), _signed(shown[1])


def error(value: float | None, decimals: int = 4) -> str:
    """Return a number that is better when low, such as a loss or the ECE, rounded up."""
    return MISSING if value is None else _rounded(value, decimals, ROUND_CEILING)


def number(value: float) -> str:
    """Return a count or a plain number with the digits that matter: `45,000`, `0.0023`."""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def probability(p_value: float) -> str:
    """Return a p value with the digits that are read."""
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.4f}"


def duration(seconds: float | None) -> str:
    """Return a time as it is read: `12.5 s`, `13 min 34 s`, `2 h 05 min`."""
    if seconds is None:
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def file_size(num_bytes: int) -> str:
    """Return a number of bytes as it is read: `45.7 MB`, `12.3 kB`."""
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:,.1f} kB"


def counted(count: int, noun: str) -> str:
    """Return a number of things: `1 image`, `2,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def middle_left_out(text: str, longest: int = 72) -> str:
    """Return a text, such as a path, without its middle where it is long: its end is what tells it apart."""
    end = longest * 2 // 3
    return text if len(text) <= longest else f"{text[: longest - end - 1]}…{text[-end:]}"


def listed(items: Sequence[str], most: int | None = None, last: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`, or where there are more than `most` of them `a, b and 7 more`.

    Args:
        items: what is listed.
        most: how many are named; default: all.
        last: the word before the last one.
    """
    if most is not None and len(items) > most:
        items = [*items[:most], f"{len(items) - most:,} more"]
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else list(items))


def data_uri(image: Path) -> str:
    """Return a PNG or JPEG file as a data URI."""
    return f"data:{MIME_TYPES[image.suffix]};base64,{base64.b64encode(image.read_bytes()).decode()}"


def _signed(text: str) -> str:
    if not float(text):
        return text.lstrip("-")
    return text if text.startswith("-") else f"+{text}"


def _rounded(value: float, decimals: int, rounding: str) -> str:
    # Binary fractions are off by less than 1e-10: 0.29 * 100 is 28.999999999999996.
    exact = Decimal(repr(float(value))).quantize(Decimal("1e-10"))
    return f"{exact.quantize(Decimal(1).scaleb(-decimals), rounding=rounding):,f}"

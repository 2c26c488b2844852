"""Fonts for names in any script: DejaVu Sans comes with matplotlib, and installed fonts fill in what it lacks.

A character that no installed font has is drawn as a box, and a warning names it. The pages show it all the same, with
the fonts of whoever reads them. Scripts whose letters change their shape, such as Devanagari, are drawn letter by
letter.
"""

from unicodedata import category

from hf_cifar.utils.progress import say

DEFAULT = "DejaVu Sans"
MISSING = "□"
# Parts of the names of fonts that have many scripts, tried first.
BROAD = ("noto sans", "cjk", "unicode", "wenquanyi", "gothic", "hei", "unifont", "freesans")

LAST_RESORT = "last resort"  # a font of boxes, with one for every character
_fallbacks: list[str] = []  # families beside the default one, in the order in which they were needed
_unsaid: set[str] = set()  # characters that no font has, and nobody was told of yet
_known: dict[str, str] = {}  # character -> itself, or the box


def families() -> list[str]:
    """Return the font families that all text seen so far can be drawn with, the first one preferred."""
    return [DEFAULT, *_fallbacks]


def drawable(text: str) -> str:
    """Return text with a box for each character that no installed font has; its fonts are among `families` then."""
    unknown = {character for character in text if character not in _known}
    if unknown:
        _find(unknown)
    return "".join(_known[character] for character in text)


def warn_of_missing() -> None:
    """Say which characters no installed font has, each once in a process."""
    missed = sorted(_unsaid)
    _unsaid.clear()
    if missed:
        say(
            f"warning: no installed font has {' '.join(missed[:20])}{' …' if len(missed) > 20 else ''}: figures show "
            f"{MISSING} instead, the report's text shows them; install a font that has them, such as Noto Sans CJK"
        )


def _find(characters: set[str]) -> None:
    """Look for fonts that have some characters."""
    from matplotlib.font_manager import findfont, fontManager

    left = characters - _characters(findfont(DEFAULT), characters)
    entries = {
        entry.fname: entry.name
        for entry in fontManager.ttflist
        if entry.style == "normal" and not entry.name.lower().startswith(LAST_RESORT)
    }
    order = sorted(entries, key=lambda file: (not any(part in entries[file].lower() for part in BROAD), file))
    for file in order:
        if not left:
            break
        found = _characters(file, left)
        if found and entries[file] not in families():
            _fallbacks.append(entries[file])
        left -= found
    # What has no shape of its own, such as a joiner, is not missed; a letter newer than this Python ("Cn") is.
    missed = {character for character in left if character.isprintable() or category(character) == "Cn"}
    _known.update({character: character for character in characters - left} | dict.fromkeys(left, ""))
    _known.update(dict.fromkeys(missed, MISSING))
    _unsaid.update(missed)


def _characters(file: str, wanted: set[str]) -> set[str]:
    """Return which of some characters a font file has."""
    from matplotlib.font_manager import get_font

    try:
        characters = get_font(file).get_charmap()
    except (OSError, RuntimeError):  # a file that matplotlib listed once and that is gone or damaged
        return set()
    return {character for character in wanted if ord(character) in characters}

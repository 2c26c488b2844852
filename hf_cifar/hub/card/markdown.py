"""Escape text from outside, such as the names of classes, for Markdown."""

import re

from hf_cifar.utils.formatting import MISSING

# An underscore inside of a word means nothing.
_SPECIAL = re.compile(r"([\\`*{}\[\]#|~$]|(?<![^\W_])_|_(?![^\W_]))")


def plain(value: object) -> str:
    """Return text on one line in which nothing is Markdown or HTML."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    # A bare address would become a link.
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")


def code(value: object, *, in_table: bool = False) -> str:
    """Return text as a code span on one line; `in_table` keeps a bar from ending the cell."""
    text = " ".join(str(value).split())
    text = text.replace("|", "\\|") if in_table else text
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}" if text else MISSING


def bold(text: str, when: bool = True) -> str:
    """Return `text` in bold where `when` holds."""
    return f"**{text}**" if when and text != MISSING else text

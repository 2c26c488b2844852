"""The state of an exported folder, in a file beside it: what was checked, and what was pushed where."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_cifar.utils.files import write_json

STATE_SUFFIX = ".json"


@dataclass
class ExportState:
    """What is remembered of an exported folder. It is never pushed.

    Attributes:
        checked: digest of the model, processor and examples that passed the check.
        card: digest of the card as the package left it in the folder.
        edited: whether a person has edited it since and it was not pushed yet.
        files: what the package put there; anything else there is a person's.
        pushed: USER/NAME@REVISION -> digest of the card that was pushed there last.
        forms: of an export with other forms of the model, or with a divided head: what it was asked for and made from,
            a digest of the files, and what was measured.
    """

    checked: str | None = None
    card: str | None = None
    edited: bool = False
    files: list[str] = field(default_factory=list)
    pushed: dict[str, str] = field(default_factory=dict)
    forms: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "ExportState":
        """Return the state of an exported folder; an empty one where there is none that can be read."""
        try:
            return cls(**json.loads(_file(folder).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, folder: Path) -> None:
        """Write it beside the folder."""
        write_json(_file(folder), asdict(self))


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _file(folder: Path) -> Path:
    return folder.parent / (folder.name + STATE_SUFFIX)

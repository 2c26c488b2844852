"""What is known of an exported folder, in a file beside it: what was checked, and where it was pushed."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hf_cifar.utils.files import write_json

RECORD_SUFFIX = ".json"


@dataclass
class Record:
    """The memory of an exported folder. It is never pushed.

    Attributes:
        checked: digest of the model, processor and examples that passed the check.
        card: digest of the card as the package left it in the folder.
        edited: whether a person has edited it since, and it was not pushed yet.
        files: what the package put there; anything else there is a person's.
        pushed: USER/NAME@REVISION -> digest of the card that was pushed there last.
    """

    checked: str | None = None
    card: str | None = None
    edited: bool = False
    files: list[str] = field(default_factory=list)
    pushed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "Record":
        """The record of an exported folder; an empty one where there is none that can be read."""
        try:
            return cls(**json.loads(_file(folder).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, folder: Path) -> None:
        """Keep it beside the folder."""
        write_json(_file(folder), asdict(self))


def digest(text: str) -> str:
    """What tells two texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(files: list[Path]) -> str:
    """What tells two sets of files apart, by their names and contents."""
    whole = hashlib.sha256()
    for file in sorted(files):
        part = hashlib.sha256()
        with file.open("rb") as opened:
            while block := opened.read(2**20):
                part.update(block)
        whole.update(f"{file.name}\0{part.hexdigest()}\n".encode())
    return whole.hexdigest()


def _file(folder: Path) -> Path:
    return folder.parent / (folder.name + RECORD_SUFFIX)

"""Record the files of a folder with their checksums, and find what is damaged later."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from hf_cifar.utils.files import write_json

BLOCK = 2**20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_digest(files: Iterable[Path]) -> str:
    """Return a SHA-256 over the names and contents of files, whatever their order."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def write_checksums(mark: Path, files: Iterable[Path]) -> None:
    """Write down the size and checksum of some files, after their content has reached the disk.

    Args:
        mark: the file to write; it appears whole, and last.
        files: anywhere below the folder of `mark`.
    """
    recorded = {}
    for path in sorted(files):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        recorded[path.relative_to(mark.parent).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    write_json(mark, recorded)


def find_damage(mark: Path, *, content: bool = True) -> str | None:
    """Return what is wrong with files that were written down, in a few words; None where nothing is.

    Args:
        mark: as `write_checksums` wrote it, or a version of this package that wrote sizes only.
        content: compare checksums too, and not only sizes.
    """
    try:
        recorded = json.loads(mark.read_text(encoding="utf-8"))
        items = list(recorded.items())
    except FileNotFoundError:
        return f"{mark.name} is missing"
    except (OSError, ValueError, AttributeError):
        return f"{mark.name} is damaged"
    for name, entry in items:
        path = mark.parent / name
        size, checksum = (entry, None) if isinstance(entry, int) else (entry.get("bytes"), entry.get("sha256"))
        try:
            if path.stat().st_size != size:
                return f"{name} has another size"
            if content and checksum is not None and sha256_of(path) != checksum:
                return f"{name} has another content"
        except OSError:
            return f"{name} is missing or cannot be read"
    return None

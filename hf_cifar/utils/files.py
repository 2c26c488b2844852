"""Write files and folders atomically: to a temporary name first, then renamed."""

import csv
import errno
import io
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError

# Names of `path_aside`; `tempfile` made them in earlier versions.
_LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}")
# How text begins that spreadsheets run (OWASP, "CSV Injection"), and text that only looks so once this has escaped it.
_FORMULA = re.compile(r"(?![+\-]?[\d.]+$)'*[=+\-@\t\n＝＋－＠]")


def path_aside(path: Path) -> Path:
    """Return a new hidden name in the folder of `path`, which `remove_leftovers` recognizes.

    What is made there has the permissions of the user's umask; `tempfile` would make it private, and a cache or a run
    could not be shared.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def refuse_unwritable(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be made, or in which nothing can be written.

    Args:
        option: that names it.
        folder: it need not exist.

    Raises:
        InputError: something on its path is no folder.
        PermissionError: it, or the first folder above it that exists, is not writable.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise InputError(f"{option} {folder}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no permission, or a read-only file system", str(existing))


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file in the same folder, then rename it to `path`."""
    with written_aside(path) as aside:
        write(aside)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the same folder to be filled, and rename it to `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path_aside(path)
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def csv_text(value: Any) -> Any:
    """Return a cell of a CSV file: text that a spreadsheet would run as a formula is preceded by an apostrophe."""
    if not isinstance(value, str):
        return value
    # Python's writer does not quote the one, which would end the line, and before 3.11 does not write the other.
    value = value.replace("\r", "␍").replace("\0", "␀")
    return f"'{value}" if _FORMULA.match(value) else value


def from_csv_text(cell: str) -> str:
    """Return the text of a cell that `csv_text` has written."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def write_csv(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write rows, each a dictionary, to a CSV file with these columns, atomically; text as `csv_text` makes it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_text(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that replaces `path` on success.

    An older folder at `path` is moved away first and removed last, so that no reader sees a mixture.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path_aside(path)
    aside.mkdir()
    try:
        yield aside
        if path.exists():
            old = path_aside(path)
            os.replace(path, old)
            os.replace(aside, path)
            shutil.rmtree(old)
        else:
            os.replace(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(folder: Path, name: str = "", age: float = 0.0) -> None:
    """Remove what a writer that was killed has left in a folder: hidden files and folders that it wrote aside.

    Args:
        folder: in which nobody else writes now, unless `age` is longer than a write takes.
        name: of what was written; everything by default.
        age: seconds since the last change of what is removed.
    """
    for path in folder.iterdir():
        is_leftover = _LEFTOVER.fullmatch(path.name) and path.name.startswith(f".{name}." if name else ".")
        if is_leftover and time.time() - path.lstat().st_mtime >= age:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

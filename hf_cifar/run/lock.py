"""Keep a folder for one process: another one that wants it is refused."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hf_cifar.errors import InputError
from hf_cifar.utils import processes

LOCK_FILE = ".lock"
# A file of its own: filelock before 4 empties the lock file of whoever asks for it.
HOLDER_FILE = ".lock-holder"


def refuse_if_locked(folder: Path) -> None:
    """Refuse a folder that another process holds now.

    Raises:
        InputError: it does.
    """
    file = folder / LOCK_FILE
    if file.exists() and processes.is_main():
        with _held(file, folder):
            pass


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is missing. The lock goes with its process, however that ends.

    Of several processes that share a run, the main one holds it.

    Raises:
        InputError: another process holds it.
    """
    if not processes.is_main():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder / LOCK_FILE, folder):
        holder = folder / HOLDER_FILE
        holder.write_text(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)


@contextmanager
def _held(file: Path, folder: Path) -> Iterator[None]:
    try:
        lock = FileLock(file, timeout=0)
        lock.acquire()
    except Timeout:
        named = folder / HOLDER_FILE
        text = named.read_text(encoding="utf-8", errors="replace").strip() if named.is_file() else ""
        holder = text or "another process"
        raise InputError(f"{folder} is in use by {holder}: wait for it to end, or give another --output-dir") from None
    try:
        yield
    finally:
        lock.release()

"""Arrays computed once for the rows of a split, cached on disk in parts.

One folder holds what is known of one split, in parts that hold some of its rows each. Runs that need other rows read
what is there and add the rest. A part is written aside and renamed, so it is complete or absent; a lock keeps two runs
from computing the same rows. The checksums of a part are verified once by every run that uses it, and a damaged part
is computed again.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from hf_cifar.data.shared_store import SharedStore
from hf_cifar.utils import processes
from hf_cifar.utils.checksums import find_damage, write_checksums
from hf_cifar.utils.files import path_aside, remove_leftovers, write_json
from hf_cifar.utils.progress import say

CHECKSUMS = "checksums.json"
ROWS = "rows.npy"


@dataclass(frozen=True)
class CachedRows:
    """Memory-mapped arrays of every part, and where in them each row of the split is.

    Attributes:
        arrays: for each name, the arrays of all parts, read-only.
        files: for each name, the files that they are mapped from.
        part: int32 [rows of the split], the index of the part that holds a row; -1 where none does.
        position: int32 [rows of the split], the row's position in that part; -1 where there is none.
    """

    arrays: dict[str, list[np.ndarray]]
    files: dict[str, list[Path]]
    part: np.ndarray
    position: np.ndarray


class RowCache:
    """The folder of the parts of one split.

    Args:
        folder: of the whole cache; that of the split is in it, named by its key.
        description: what the arrays depend on, for JSON; its SHA-256 is the key.
        names: of the arrays in every part, each in a file `NAME.npy`.
        title: what is cached, for the warning about a damaged part.
        store: from which whole parts are fetched, and to which new ones are published.
    """

    def __init__(
        self,
        folder: Path,
        description: dict[str, Any],
        names: Sequence[str],
        title: str,
        store: SharedStore | None = None,
    ) -> None:
        key = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:24]
        self.folder = folder / key
        self.description = description
        self.names = tuple(names)
        self.title = title
        self.store = None if store is None else store.below(key)
        self._verified: set[Path] = set()

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows of the split that are not in the cache, sorted, int64."""
        held = [np.load(part / ROWS) for part in self._parts()]
        return np.setdiff1d(rows, np.concatenate(held) if held else np.empty(0, dtype=np.int64))

    def fill(self, rows: np.ndarray, compute: Callable[[np.ndarray], None]) -> int:
        """Have the missing ones of some rows computed, by every process its share, and return their number.

        Every process of the run calls this. While it computes, other runs wait.

        Args:
            rows: int64, of the split.
            compute: gets the rows to compute, int64, and adds parts that hold them (`part`).
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if processes.is_main():
            self._remove_damaged()
            self.synchronize()
        missing = processes.from_main(self.missing(rows))
        if len(missing):
            # The main process takes the lock; the others wait for its broadcast.
            with self._lock() if processes.is_main() else nullcontext():
                # Another run may have filled the cache meanwhile. Nobody writes now: unfinished parts are leftovers.
                if processes.is_main():
                    remove_leftovers(self.folder)
                    write_json(self.folder / "key.json", self.description)
                missing = processes.from_main(self.missing(rows))
                mine = missing[processes.share(len(missing))]
                if len(mine):
                    compute(mine)
                processes.wait_for_all()
            if len(self.missing(rows)):
                self._fetch()  # what a machine with another disk has computed
        return len(missing)

    def synchronize(self) -> None:
        """Fetch the whole parts that the store has and this folder lacks, and publish those that the store lacks."""
        if self.store is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._fetch()
            self.store.publish(self._parts(), CHECKSUMS)

    @contextmanager
    def part(self, rows: np.ndarray) -> Iterator[Path]:
        """Yield an empty folder for the arrays of some rows, which becomes a part when the block ends without an error.

        Args:
            rows: int64, of the split; not in the cache yet.
        """
        aside = path_aside(self.folder / "part")
        aside.mkdir()
        try:
            yield aside
            np.save(aside / ROWS, rows)
            write_checksums(aside / CHECKSUMS, [*(aside / f"{name}.npy" for name in self.names), aside / ROWS])
            folder = self.folder / f"part-{rows[0]}-{len(rows)}-{time.time_ns()}"
            os.replace(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        if self.store is not None:
            self.store.publish([folder], CHECKSUMS)

    def open(self, total: int) -> CachedRows:
        """Return the arrays of every part, memory-mapped.

        Args:
            total: number of rows of the split.
        """
        parts = self._parts()
        part, position = np.full((2, total), -1, dtype=np.int32)
        for index, folder in enumerate(parts):
            held = np.load(folder / ROWS)
            part[held] = index
            position[held] = np.arange(len(held))
        files = {name: [folder / f"{name}.npy" for folder in parts] for name in self.names}
        arrays = {name: list(map(mapped, some)) for name, some in files.items()}
        return CachedRows(arrays, files, part, position)

    def _fetch(self) -> None:
        if self.store is not None:
            self.store.fetch(self.folder, [*(f"{name}.npy" for name in self.names), ROWS], CHECKSUMS)

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*"))

    def _lock(self) -> FileLock:
        return FileLock(self.folder / "lock")

    def _remove_damaged(self) -> None:
        for part in set(self._parts()) - self._verified:
            damage = find_damage(part / CHECKSUMS)
            if damage is None:
                self._verified.add(part)
                continue
            say(f"warning: {self.title} in {part} are damaged ({damage}): they are computed again")
            with self._lock():
                shutil.rmtree(part, ignore_errors=True)


def mapped(path: Path) -> np.ndarray:
    """Return the array of a .npy file, memory-mapped and read-only.

    `np.load` would keep a file descriptor for each; of those a process has about a thousand, and a cache may have more
    parts.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        start = file.tell()
    content = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8).numpy()
    array = content[start:].view(dtype).reshape(shape, order="F" if fortran else "C")
    array.flags.writeable = False
    return array


def cache_folder(name: str) -> Path:
    """Return `$HF_CIFAR_CACHE/NAME`, or `hf_cifar/NAME` in the user's cache folder."""
    given = os.environ.get("HF_CIFAR_CACHE")
    home = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "hf_cifar")
    return home.expanduser() / name

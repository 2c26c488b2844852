"""Parts of caches in a place that machines share, under any address that fsspec opens.

The local folder stays the working copy, since arrays are memory-mapped. Whole parts that it lacks are fetched, new ones
are published. The file of checksums is uploaded last and marks a part as whole; nothing there is overwritten.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import fsspec

from hf_cifar.errors import InputError
from hf_cifar.utils.checksums import find_damage
from hf_cifar.utils.files import path_aside, remove_leftovers
from hf_cifar.utils.progress import say

ABANDONED_AFTER = 86_400.0  # seconds; no part takes a day to fetch
_PART = re.compile(r"part-\d+-\d+-\d+")


class SharedStore:
    """A folder of parts at an address.

    Args:
        address: such as s3://BUCKET/FOLDER, gs://, hf:// or file://; what fsspec knows and has the package for.

    Raises:
        InputError: fsspec cannot open it.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self.files, self.root = fsspec.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise InputError(f"--feature-cache {address} cannot be opened: {error}") from error

    def check(self) -> None:
        """Refuse a place that does not answer.

        Raises:
            InputError: it does not.
        """
        try:
            self.files.exists(self.root)
        except Exception as error:  # each package behind fsspec has its own
            raise InputError(f"--feature-cache {self.address} does not answer ({_named(error)})") from error

    def below(self, name: str) -> "SharedStore":
        """Return the store of a folder in this one."""
        return SharedStore(f"{self.address.rstrip('/')}/{name}")

    def fetch(self, folder: Path, files: Sequence[str], mark: str) -> None:
        """Download the whole parts that a local folder lacks, and verify them.

        Args:
            folder: of the local parts.
            files: names of the files of a part.
            mark: the name of the file of checksums.
        """
        remove_leftovers(folder.parent, folder.name, age=ABANDONED_AFTER)
        try:
            for name in sorted(self._parts() - {path.name for path in folder.glob("part-*")}):
                if self.files.exists(f"{self.root}/{name}/{mark}"):
                    self._fetch(folder / name, [*files, mark], mark)
        except Exception as error:  # each package behind fsspec has its own
            say(f"warning: {self.address} cannot be read ({_named(error)}): what it holds is computed here")

    def publish(self, parts: Sequence[Path], mark: str) -> None:
        """Upload local parts that are not there.

        Args:
            parts: folders.
            mark: the name of the file of checksums, which is uploaded last.
        """
        try:
            for part in parts:
                target = f"{self.root}/{part.name}"
                if self.files.exists(f"{target}/{mark}"):
                    continue
                self.files.makedirs(target, exist_ok=True)
                for path in sorted(part.iterdir(), key=lambda path: path.name == mark):
                    self.files.put_file(str(path), f"{target}/{path.name}")
        except Exception as error:  # hours of work are not lost with a connection: the parts are there locally
            say(f"warning: {self.address} cannot be written ({_named(error)}): the cache is kept locally only")

    def _parts(self) -> set[str]:
        self.files.invalidate_cache()
        if not self.files.exists(self.root):
            return set()
        names = {path.rstrip("/").rpartition("/")[2] for path in self.files.ls(self.root, detail=False)}
        return {name for name in names if _PART.fullmatch(name)}

    def _fetch(self, target: Path, files: Sequence[str], mark: str) -> None:
        aside = path_aside(target.parent)  # outside of the folder, whose leftovers another run may remove now
        aside.mkdir()
        try:
            for name in files:
                self.files.get_file(f"{self.root}/{target.name}/{name}", str(aside / name))
            damage = find_damage(aside / mark)
            if damage is not None:
                say(f"warning: {target.name} in {self.address} is damaged ({damage}): it is not used")
            elif not target.exists():  # another process may have fetched it meanwhile
                os.replace(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"

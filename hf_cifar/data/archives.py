"""Datasets in a zip archive, unpacked once into a cache that is keyed by the archive's content."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from filelock import FileLock

from hf_cifar.data.image_files import image_suffixes
from hf_cifar.data.label_files import SUFFIXES
from hf_cifar.data.row_cache import cache_folder
from hf_cifar.data.split_names import usual_split
from hf_cifar.errors import InputError
from hf_cifar.utils.checksums import sha256_of
from hf_cifar.utils.files import folder_aside
from hf_cifar.utils.formatting import file_size
from hf_cifar.utils.progress import progress, say

# What a dataset is made of; other files stay in the archive.
OTHER_SUFFIXES = frozenset({".parquet", ".arrow", ".json"}) | SUFFIXES
# Images hardly shrink: an archive that grows more than this, and beyond a gigabyte, is made to fill a disk.
MAX_GROWTH, ALWAYS_ALLOWED = 100, 1_000_000_000
MAX_ENTRIES = 20_000_000


def unpacked(archive: Path) -> Path:
    """Return the folder of an archive's dataset: unpacked before, or now.

    Names that lead out of the folder, links, encrypted archives and those that would fill the disk are refused.

    Raises:
        InputError: any of these, or the archive is damaged.
    """
    cache = cache_folder("archives")
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / sha256_of(archive)[:24]
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            try:
                with zipfile.ZipFile(archive) as opened, folder_aside(folder) as aside:
                    _unpack(archive, opened, aside)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
                raise InputError(f"{archive} cannot be unpacked ({' '.join(str(error).split())[:150]})") from error
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise InputError(f"{archive} holds two entries of one name: pack it again") from error
            say(f"unpacked {archive} to {folder}")
    return _dataset_in(folder)


def _unpack(archive: Path, opened: zipfile.ZipFile, folder: Path) -> None:
    entries = list(_entries(archive, opened))
    if not entries:
        raise InputError(f"{archive} holds no images")
    size, packed = sum(entry.file_size for entry, _ in entries), archive.stat().st_size
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{archive} needs {file_size(size)}, and {file_size(free)} are free in {folder.parent}: make room, or set "
            "HF_CIFAR_CACHE to a folder on another disk"
        )
    if size > max(ALWAYS_ALLOWED, MAX_GROWTH * packed):
        raise InputError(
            f"{archive} would grow from {file_size(packed)} to {file_size(size)}, more than images do: unpack it "
            "yourself if you trust it"
        )
    for entry, name in progress(entries, f"unpacking {archive.name}", "file"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Reads no more than the size that the entry declares, and compares the checksum at its end.
        with opened.open(entry) as packed_file, path.open("xb") as file:
            shutil.copyfileobj(packed_file, file, 1 << 20)
        # Large datasets are known by sizes and times: the checksum, as the time, is the same wherever it is unpacked.
        os.utime(path, (entry.CRC, entry.CRC))


def _entries(archive: Path, opened: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Yield the entries that belong to a dataset, and their names."""
    listed = opened.infolist()
    if len(listed) > MAX_ENTRIES:
        raise InputError(f"{archive} holds {len(listed):,} entries: at most {MAX_ENTRIES:,} are unpacked")
    for entry in listed:
        name = entry.filename.replace("\\", "/")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
            raise InputError(f"{archive} holds {name!r}, which leads out of its folder: pack it again without it")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(f"{archive} holds {name!r}, a link: pack the file itself")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
        if entry.is_dir() or hidden or path.suffix.lower() not in image_suffixes() | OTHER_SUFFIXES:
            continue
        if entry.flag_bits & 1:
            raise InputError(f"{archive} is encrypted: unpack it, and give the folder")
        yield entry, str(path)


def _dataset_in(folder: Path) -> Path:
    """Return the folder that holds the dataset: photos.zip often holds all in a folder photos."""
    inside = list(folder.iterdir())
    while len(inside) == 1 and inside[0].is_dir() and not usual_split(inside[0].name):
        below = list(inside[0].iterdir())
        if all(path.is_file() and path.suffix.lower() in image_suffixes() for path in below):
            return folder  # the folder of the only class
        folder, inside = inside[0], below
    return folder

"""Which images a request means: files, folders, globs, lists of paths, web addresses. Light: no torch here."""

import codecs
import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from hf_cifar.data.image_files import image_suffixes
from hf_cifar.errors import InputError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Found:
    """A path that a request means.

    Attributes:
        path: as it was given, or below what was given; or an http(s) address.
        fault: why nothing can be read there; empty where something may be.
    """

    path: str
    fault: str = ""


def find_images(sources: Iterable[str]) -> Iterator[Found]:
    """The images that `--images` means, each once, in the order in which they first appear.

    Args:
        sources: each one of
            a file, whatever its name;
            a folder: the image files below it, by name, without hidden ones; links are followed, each folder once;
            a glob such as "photos/**/*.jpg" (`**`: any folders), sorted; folders that match stand for their images,
            and files count if they are images or the glob spells their suffix;
            a .txt file: one file, folder, glob or address a line; blank lines and those with # in front are left out;
            -: the same lines on standard input, read as they come;
            an http or https address.

    Yields:
        what was found, and with a fault what was asked for but is not there.
    """
    seen = set()
    for source in dict.fromkeys(sources):
        for found in _of_source(source):
            key = found.path if is_address(found.path) else os.path.abspath(found.path)
            if key not in seen:
                seen.add(key)
                yield found


def some_images(sources: list[str]) -> tuple[Iterator[Found], int | None]:
    """`find_images`, when there is at least one; found before a model is loaded.

    Returns:
        the images, and how many there are; None where that is not known before standard input ends.

    Raises:
        InputError: nothing is asked for, or nothing of it is there.
    """
    if not sources:
        raise InputError("--images is missing: give files, folders, globs, a .txt file of paths, or -")
    found = find_images(sources)
    before = []
    for item in found:
        before.append(item)
        if not item.fault:
            break
    if not before or before[-1].fault:
        first = f" ({before[0].path}: {before[0].fault})" if before else ""
        raise InputError(f"--images {' '.join(sources)[:200]}: no image to predict{first}")
    if STANDARD_INPUT in sources:
        return chain(before, found), None
    before.extend(found)
    return iter(before), len(before)


def is_address(path: str) -> bool:
    """Whether `path` is an http or https address."""
    return path.lower().startswith(("http://", "https://"))


def _of_source(source: str) -> Iterator[Found]:
    if source == STANDARD_INPUT:
        yield from _or_fault(_of_lines(sys.stdin.buffer), "standard input", "names no image")
    elif source.lower().endswith(".txt") and os.path.isfile(path := os.path.expanduser(source)):
        try:
            with open(path, "rb") as lines:
                yield from _or_fault(_of_lines(lines), source, "names no image")
        except OSError as error:
            yield Found(source, _reason(error))
    else:
        yield from _of_path(source)


def _of_lines(lines: Iterable[bytes]) -> Iterator[Found]:
    for line in lines:
        path = os.fsdecode(line.removeprefix(codecs.BOM_UTF8)).strip()
        if path and not path.startswith("#"):
            yield from _of_path(path)


def _of_path(given: str) -> Iterator[Found]:
    if is_address(given):
        yield Found(given)
        return
    path = os.path.expanduser(given)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if glob.has_magic(path):
            yield from _or_fault(_matching(path), given, "matches no image")
        else:
            yield Found(given, _reason(error))
        return
    if stat.S_ISDIR(mode):
        yield from _or_fault(_below(path, set()), given, "holds no image")
    else:
        # To read from a pipe or a device would wait without end.
        yield Found(path, "" if stat.S_ISREG(mode) else "neither a file nor a folder")


def _matching(pattern: str) -> Iterator[Found]:
    suffixes = {os.path.splitext(pattern)[1].lower(), *image_suffixes()} - {""}
    for path in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isdir(path):
            yield from _below(path, set())
        elif os.path.splitext(path)[1].lower() in suffixes:
            yield Found(path)


def _below(folder: str, visited: set[tuple[int, int]]) -> Iterator[Found]:
    """The image files below a folder; `visited` are those read before, so that links lead in no circle."""
    try:
        state = os.stat(folder)
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(folder, _reason(error))
        return
    if (state.st_dev, state.st_ino) in visited:
        return
    visited.add((state.st_dev, state.st_ino))
    for entry in shown:
        path = os.path.join(folder, entry.name)
        if entry.is_dir():
            yield from _below(path, visited)
        elif os.path.splitext(entry.name)[1].lower() in image_suffixes() and (
            entry.is_file() or not os.path.exists(path)  # a link that leads nowhere is reported when it is read
        ):
            yield Found(path)


def _or_fault(found: Iterator[Found], asked: str, fault: str) -> Iterator[Found]:
    """`found`, or where that is nothing a fault of what was asked for."""
    item = None
    for item in found:
        yield item
    if item is None:
        yield Found(asked, fault)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)

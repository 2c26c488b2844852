"""Find the images that `--images` names: files, folders, globs, lists of paths, URLs. Light: no torch here."""

import codecs
import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from hf_cifar.data.image_files import files_below, image_suffixes
from hf_cifar.errors import InputError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class ImagePath:
    """An image that a request names.

    Attributes:
        path: of the file as given, or below a given folder; or an http(s) URL.
        fault: why nothing can be read there; empty otherwise.
    """

    path: str
    fault: str = ""


def find_images(sources: Iterable[str]) -> Iterator[ImagePath]:
    """Yield the images that `--images` names, each once, in the order in which they first appear.

    Args:
        sources: any of
            a file of any name;
            a folder: the image files below it in the order of their names, without hidden ones; links are followed,
            but not back into a folder that holds them;
            a glob such as "photos/**/*.jpg" (`**`: any folders), sorted; a folder that matches stands for its images,
            and a file must be an image or have a suffix that the glob spells out;
            a .txt file with a file, folder, glob or URL on each line; blank lines and lines that begin with # are
            skipped;
            -: the same lines on standard input, read as they arrive;
            an http or https URL.

    Yields:
        Images, and with a fault whatever was requested but does not exist.
    """
    seen = set()
    for source in dict.fromkeys(sources):
        for image in _of_source(source):
            key = image.path if is_url(image.path) else os.path.abspath(image.path)
            if key not in seen:
                seen.add(key)
                yield image


def some_images(sources: list[str]) -> tuple[Iterator[ImagePath], int | None]:
    """Return what `find_images` yields if that is one image or more; to be called before a model is loaded.

    Returns:
        The images and their number, None if that is not known before the end of standard input.

    Raises:
        InputError: nothing is requested, or none of it exists.
    """
    if not sources:
        raise InputError("--images is missing: give files, folders, globs, a .txt file of paths, or -")
    images = find_images(sources)
    first_images = []
    for image in images:
        first_images.append(image)
        if not image.fault:
            break
    if not first_images or first_images[-1].fault:
        first = f" ({first_images[0].path}: {first_images[0].fault})" if first_images else ""
        raise InputError(f"--images {' '.join(sources)[:200]}: no image to predict{first}")
    if STANDARD_INPUT in sources:
        return chain(first_images, images), None
    first_images.extend(images)
    return iter(first_images), len(first_images)


def is_url(path: str) -> bool:
    """Return whether `path` is an http or https URL."""
    return path.lower().startswith(("http://", "https://"))


def _of_source(source: str) -> Iterator[ImagePath]:
    if source == STANDARD_INPUT:
        yield from _or_fault(_of_lines(sys.stdin.buffer), "standard input", "names no image")
    elif source.lower().endswith(".txt") and os.path.isfile(path := os.path.expanduser(source)):
        try:
            with open(path, "rb") as lines:
                yield from _or_fault(_of_lines(lines), source, "names no image")
        except OSError as error:
            yield ImagePath(source, _reason(error))
    else:
        yield from _of_path(source)


def _of_lines(lines: Iterable[bytes]) -> Iterator[ImagePath]:
    for line in lines:
        path = os.fsdecode(line.removeprefix(codecs.BOM_UTF8)).strip()
        if path and not path.startswith("#"):
            yield from _of_path(path)


def _of_path(given: str) -> Iterator[ImagePath]:
    if is_url(given):
        yield ImagePath(given)
        return
    path = os.path.expanduser(given)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if glob.has_magic(path):
            yield from _or_fault(_matching(path), given, "matches no image")
        else:
            yield ImagePath(given, _reason(error))
        return
    if stat.S_ISDIR(mode):
        yield from _or_fault(_below(path), given, "holds no image")
    else:
        # To read from a pipe or a device would wait without end.
        yield ImagePath(path, "" if stat.S_ISREG(mode) else "neither a file nor a folder")


def _matching(pattern: str) -> Iterator[ImagePath]:
    suffixes = {os.path.splitext(pattern)[1].lower(), *image_suffixes()} - {""}
    for path in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isdir(path):
            yield from _below(path)
        elif os.path.splitext(path)[1].lower() in suffixes:
            yield ImagePath(path)


def _below(folder: str) -> Iterator[ImagePath]:
    return (ImagePath(path, fault) for path, fault in files_below(folder, image_suffixes()))


def _or_fault(images: Iterator[ImagePath], source: str, fault: str) -> Iterator[ImagePath]:
    """Yield images, or a fault of their source if there are none."""
    image = None
    for image in images:
        yield image
    if image is None:
        yield ImagePath(source, fault)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)

"""Which files are images, by content and by suffix: one definition for training and prediction. Light: no torch."""

import os
from collections.abc import Collection, Iterator
from functools import cache

# Pillow's formats whose decoders run in this process and hold one picture. Left out are those that start another
# program (EPS starts Ghostscript), that open a file within the file in any format (IPTC), and that only describe one.
FORMATS = (
    *("AVIF", "BMP", "CUR", "DDS", "DIB", "FITS", "GIF", "HEIF", "ICNS", "ICO", "IM", "JPEG", "JPEG2000", "MPO", "MSP"),
    *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "SPIDER", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM"),
)
# Pictures that Pillow may not read without a plugin, or not at all: reported rather than silently left out.
KNOWN_SUFFIXES = frozenset({".heic", ".heif", ".svg", ".avif", ".jxl"})


@cache
def formats() -> tuple[str, ...]:
    """Return the names of the formats that are opened, as far as the installed Pillow has them."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of image files, in lower case, those that cannot be read included."""
    return readable_suffixes() | KNOWN_SUFFIXES


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of image files that the installed Pillow reads, in lower case."""
    from PIL import Image

    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats())


def files_below(folder: str, suffixes: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the files below a folder in the order of their names, each with what is wrong with it: empty, or a reason.

    Links are followed, and each folder is read once, so that links cannot loop. Hidden files and folders are skipped.
    A link that leads nowhere, or a folder that cannot be read, is yielded with its reason.

    Args:
        folder: its path.
        suffixes: of the files, in lower case.
    """
    yield from _below(folder, suffixes, set())


def _below(folder: str, suffixes: Collection[str], visited: set[tuple[int, int]]) -> Iterator[tuple[str, str]]:
    try:
        state = os.stat(folder)
        with os.scandir(folder) as entries:
            shown = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        yield folder, error.strerror or str(error)
        return
    if (state.st_dev, state.st_ino) in visited:
        return
    visited.add((state.st_dev, state.st_ino))
    for name in shown:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _below(path, suffixes, visited)
        elif os.path.splitext(name)[1].lower() in suffixes:
            if os.path.isfile(path):
                yield path, ""
            elif os.path.islink(path) and not os.path.exists(path):
                yield path, "a link that leads nowhere"

"""Which files are images, by content and by suffix: one definition for training and prediction. Light: no torch."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache

# Pillow's formats whose decoders run in this process and hold one picture. Left out are those that start another
# program (EPS starts Ghostscript), that open a file within the file in any format (IPTC), and that only describe one.
# Tried in this order for every image: the usual ones first.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"),
    *("AVIF", "CUR", "DDS", "DIB", "FITS", "HEIF", "ICNS", "ICO", "IM", "JPEG2000", "MPO", "MSP", "PCX", "PPM", "PSD"),
    *("QOI", "SGI", "SPIDER", "SUN", "TGA", "XBM", "XPM"),
)
# Pictures that Pillow may not read without a plugin, or not at all: reported rather than silently left out.
HEIC_SUFFIXES = frozenset({".heic", ".heif"})
KNOWN_SUFFIXES = HEIC_SUFFIXES | {".svg", ".avif", ".jxl"}
MAX_VISITS = 16
_Folder = tuple[int, int]  # device and inode


@cache
def formats() -> tuple[str, ...]:
    """Return the names of the formats that are opened, as far as Pillow, or pillow-heif where installed, has them."""
    from PIL import Image

    Image.init()
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of image files, in lower case, those that cannot be read included."""
    return readable_suffixes() | KNOWN_SUFFIXES


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of image files that the installed Pillow reads, in lower case."""
    from PIL import Image

    names = formats()  # first: with it the suffixes of a plugin are registered
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in names)


def files_below(folder: str, suffixes: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the files below a folder in the order of their names, each with what is wrong with it: empty, or a reason.

    Links are followed, but not back into a folder that holds them, and at most `MAX_VISITS` links to the same folder,
    since folders that link to each other have countless paths. Hidden files and folders are skipped. A
    link that leads nowhere, or a folder that cannot be read, is yielded with its reason.

    Args:
        folder: its path.
        suffixes: of the files, in lower case.
    """
    yield from _below(folder, suffixes, frozenset(), Counter())


def _below(
    folder: str, suffixes: Collection[str], above: frozenset[_Folder], visits: "Counter[_Folder]", is_link: bool = False
) -> Iterator[tuple[str, str]]:
    try:
        state = os.stat(folder)
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        yield folder, error.strerror or str(error)
        return
    own = state.st_dev, state.st_ino
    visits[own] += is_link
    if own in above or (is_link and visits[own] > MAX_VISITS):
        return
    above |= {own}
    for entry in shown:
        path = os.path.join(folder, entry.name)
        if _is(entry, os.DirEntry.is_dir):
            yield from _below(path, suffixes, above, visits, entry.is_symlink())
        elif os.path.splitext(entry.name)[1].lower() in suffixes:
            if _is(entry, os.DirEntry.is_file):
                yield path, ""
            elif entry.is_symlink() and not os.path.exists(path):
                yield path, "a link that leads nowhere"


def _is(entry: "os.DirEntry[str]", kind: "Callable[[os.DirEntry[str]], bool]") -> bool:
    """Return whether an entry is of a kind; a link that leads to itself is of none."""
    try:
        return kind(entry)
    except OSError:
        return False

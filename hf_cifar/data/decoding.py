"""Decode images as `pipeline` does, within bounds and within this process."""

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageOps

from hf_cifar.data.image_files import formats

# Twice the size from which Pillow warns; as RGB about 0.5 GB.
MAX_PIXELS = 178_956_970
UPRIGHT = 1  # of the EXIF orientations


def open_image(file: str | Path | BinaryIO) -> Image.Image:
    """Open an encoded image by its content, whatever its name, without decoding it.

    Raises:
        ValueError: it has too many pixels.
        OSError: it is none of the formats that are decoded in this process, or no regular file.
    """
    if isinstance(file, (str, Path)):
        _refuse_irregular(file)
    image = Image.open(file, formats=formats())
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise ValueError(f"{width:,}x{height:,} pixels; at most {MAX_PIXELS:,} are decoded")
    return image


def decode(image: Image.Image) -> Image.Image:
    """Return an opened image as `pipeline` sees it: the first frame, upright by its EXIF orientation, in 8-bit RGB.

    One that is so already is returned itself.
    """
    image.load()
    if image.mode == "RGB" and image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) == UPRIGHT:
        # What follows would copy it twice, which takes as long as to decode it.
        return image
    # As transformers' `load_image`, which a machine that only predicts lacks.
    return ImageOps.exif_transpose(image).convert("RGB")


def read_file(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: it is none, or cannot be read.
    """
    _refuse_irregular(path)
    return path.read_bytes()


def encoded(cell: dict[str, Any] | None, folders: tuple[Path, ...] | None) -> bytes | Path:
    """Return the encoded image of a cell of a dataset: its bytes, or the file that it names.

    Args:
        cell: `bytes` and `path`, as `datasets.Image(decode=False)` gives them.
        folders: without links, where a named file must lie, since whoever wrote the dataset chose the name; a relative
            name is in the first of them. None where this package listed the files itself.

    Raises:
        ValueError: there is none, or the file lies elsewhere.
    """
    content, path = (cell.get("bytes"), cell.get("path")) if cell else (None, None)
    if content is not None:
        return bytes(content)
    if not path:
        raise ValueError("the cell is empty")
    if folders is None:
        return Path(path)
    file = Path(folders[0], path).resolve()
    if not any(file.is_relative_to(folder) for folder in folders):
        raise ValueError("it names a file outside of the dataset")
    return file


def _refuse_irregular(path: str | Path) -> None:
    if not stat.S_ISREG(os.stat(path).st_mode):
        # To read from a pipe or a device would wait without end.
        raise OSError("not a regular file")

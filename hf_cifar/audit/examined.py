"""What one pass over the files of a dataset says of each image, before any network sees it."""

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_cifar.audit.perceptual_hash import perceptual_hash
from hf_cifar.data.decoding import decode, encoded, open_image
from hf_cifar.data.images import LARGE, LabeledImages, decoding_threads
from hf_cifar.utils.progress import progress

BATCH = 256


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be decoded.

    Attributes:
        split, row: which it is.
        file: its name; empty where the dataset has none.
        reason: in a few words.
    """

    split: str
    row: int
    file: str
    reason: str


@dataclass(frozen=True)
class Examined:
    """The readable images of a split.

    Attributes:
        images: the readable ones.
        pixels: uint64 [n], of size and pixels as RGB; the same for the same picture, however it is encoded.
        looks: uint8 [n, 16], perceptual hashes.
        sizes: int32 [n, 2], width and height.
        modes: of the files, such as RGB or L.
        files: names; empty where the dataset has none.
        unreadable: the others.
    """

    images: LabeledImages
    pixels: np.ndarray
    looks: np.ndarray
    sizes: np.ndarray
    modes: list[str]
    files: list[str]
    unreadable: list[Unreadable]


@dataclass(frozen=True)
class _One:
    pixels: int
    looks: np.ndarray
    size: tuple[int, int]
    mode: str


def examine(images: LabeledImages) -> Examined:
    """Decode every image of a split once."""
    found: list[_One] = []
    kept, files, unreadable = list[int](), list[str](), list[Unreadable]()
    with (
        ThreadPoolExecutor(decoding_threads(), "examining") as pool,
        progress(None, f"examining {images.name}", "image", len(images)) as bar,
    ):
        for first in range(0, len(images), BATCH):
            positions = range(first, min(first + BATCH, len(images)))
            rows = images.index[positions.start : positions.stop]
            cells = images.rows[rows]["image"]
            for position, cell, one in zip(positions, cells, _all(images, cells, pool, found), strict=True):
                file = str((cell or {}).get("path") or "")
                if isinstance(one, _One):
                    kept.append(position)
                    files.append(file)
                    found.append(one)
                else:
                    unreadable.append(Unreadable(images.name, int(images.index[position]), file, one))
            bar.update(len(positions))
    return Examined(
        images.select(np.array(kept, dtype=np.int64)),
        np.array([one.pixels for one in found], dtype=np.uint64),
        np.array([one.looks for one in found], dtype=np.uint8).reshape(-1, 16),
        np.array([one.size for one in found], dtype=np.int32).reshape(-1, 2),
        [one.mode for one in found],
        files,
        unreadable,
    )


def _all(images: LabeledImages, cells: Sequence[Any], pool: ThreadPoolExecutor, before: Sequence[_One]) -> list[Any]:
    """Examine some cells; large images with all cores, since Pillow lets other threads run meanwhile."""
    large = bool(before) and before[-1].size[0] * before[-1].size[1] >= LARGE
    examined = pool.map if large else map
    return list(examined(lambda cell: _one(cell, images), cells))


def _one(cell: Any, images: LabeledImages) -> _One | str:
    """Return what an image holds, or why it cannot be read."""
    try:
        content = encoded(cell, images.folders)
        with open_image(io.BytesIO(content) if isinstance(content, bytes) else content) as opened:
            mode, image = opened.mode, decode(opened)
    except Exception as error:  # whatever a decoder says to a damaged file
        return (str(error) or type(error).__name__).splitlines()[0].split("<_io")[0].strip()[:100]
    digest = hashlib.blake2b(repr(image.size).encode(), digest_size=8)
    digest.update(image.tobytes())
    return _One(int.from_bytes(digest.digest(), "little") or 1, perceptual_hash(image), image.size, mode)

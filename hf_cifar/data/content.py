"""Recognise identical images by the hash of their encoded bytes."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from hf_cifar.data.decoding import encoded, read_file
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.twins import first_twins
from hf_cifar.run.verdicts import describe_copies
from hf_cifar.utils.progress import say

MAX_IMAGES = 200_000  # of a run; hashing more would read a large dataset once more for it


def image_hashes(images: LabeledImages) -> np.ndarray:
    """Return a hash of the encoded bytes of each image, uint64 [n].

    Two files with the same bytes have the same hash wherever they are; the same picture encoded again has another one.
    An image whose file cannot be read has the hash 0. Nothing is read a second time for it.
    """
    rows = images.index.tolist()
    new = images.select(np.flatnonzero([row not in images.hashes for row in rows]))
    found = _of_each(new, lambda content: _hash(content if isinstance(content, bytes) else read_file(content)))
    images.hashes.update(zip(new.index.tolist(), found.tolist(), strict=True))
    return np.array([images.hashes[row] for row in rows], dtype=np.uint64)


def identical_to(images: LabeledImages) -> np.ndarray:
    """Return for each image the position of the first one with the same encoded bytes, its own where it is that one.

    A file is read only where another one has as many bytes.

    Returns:
        int64 [n]; an image whose file cannot be read is nobody's twin.
    """
    sizes = _of_each(images, lambda content: len(content) if isinstance(content, bytes) else content.stat().st_size)
    _, group, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(counts[group.reshape(-1)] > 1)
    result = np.arange(len(images))
    result[alike] = alike[first_twins(image_hashes(images.select(alike)))]
    return result


def _of_each(images: LabeledImages, measure: Callable[[bytes | Path], int]) -> np.ndarray:
    """Return what `measure` says of the encoded content of each image, uint64 [n]; 0 where that cannot be read."""
    cells = images.rows.data.column("image")
    indices = images.rows._indices
    rows = images.index if indices is None else np.asarray(indices.column(0))[images.index]
    values = np.zeros(len(rows), dtype=np.uint64)
    for position, row in enumerate(rows):
        with suppress(OSError, ValueError):
            values[position] = measure(encoded(cells[int(row)].as_py(), images.folders))
    return values


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") or 1


def num_copies(hashes: np.ndarray, others: np.ndarray) -> int:
    """Return how many images have the encoded bytes of one of others; unreadable ones have nobody's."""
    return int(np.isin(hashes[hashes != 0], others).sum())


def warn_of_copies(hashes: dict[str, np.ndarray]) -> None:
    """Say in one line which splits hold copies of training images, whose accuracy then says little.

    Args:
        hashes: of train, validation and test, by name.
    """
    counts = {name: (num_copies(hashes[name], hashes["train"]), len(hashes[name])) for name in ("validation", "test")}
    line = describe_copies(counts)
    if line is not None:
        say(f"warning: {line}")

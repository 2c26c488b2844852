"""Recognise identical images by the hash of their encoded bytes."""

import hashlib

import numpy as np

from hf_cifar.data.decoding import encoded, read_file
from hf_cifar.data.images import LabeledImages
from hf_cifar.utils.progress import say

MAX_IMAGES = 200_000  # of a run; hashing more would read a large dataset once more for it


def image_hashes(images: LabeledImages) -> np.ndarray:
    """Return a hash of the encoded bytes of each image, uint64 [n].

    Two files with the same bytes have the same hash wherever they are; the same picture encoded again has another one.
    An image whose file cannot be read has the hash 0.
    """
    cells = images.rows.data.column("image")
    indices = images.rows._indices
    rows = images.index if indices is None else np.asarray(indices.column(0))[images.index]
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for position, row in enumerate(rows):
        try:
            content = encoded(cells[int(row)].as_py(), images.folders)
            content = content if isinstance(content, bytes) else read_file(content)
        except (OSError, ValueError):
            continue
        hashes[position] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") or 1
    return hashes


def num_copies(hashes: np.ndarray, others: np.ndarray) -> int:
    """Return how many images have the encoded bytes of one of others; unreadable ones have nobody's."""
    return int(np.isin(hashes[hashes != 0], others).sum())


def warn_of_copies(hashes: dict[str, np.ndarray]) -> None:
    """Say in one line which splits hold copies of training images, whose accuracy then says little.

    Args:
        hashes: of train, validation and test, by name.
    """
    counts = {name: num_copies(hashes[name], hashes["train"]) for name in ("validation", "test")}
    found = [f"{count:,} of {len(hashes[name]):,} {name} images" for name, count in counts.items() if count]
    if found:
        say(
            f"warning: {' and '.join(found)} are copies of training images, byte for byte, which a model can know by "
            "heart: --stage audit lists them, and --exclude-leaks measures without them"
        )

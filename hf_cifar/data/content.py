"""Recognise identical images by the hash of their encoded bytes."""

import hashlib

import numpy as np

from hf_cifar.data.decoding import encoded, read_file
from hf_cifar.data.images import LabeledImages

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

"""A hash of what an image looks like: the fewer bits differ, the more alike two images are."""

import numpy as np
from PIL import Image
from scipy.fft import dctn

SIDE, LOW = 32, 8  # of the small image, and the lowest frequencies of it that count
BITS = 128


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """Return 128 bits of an image, uint8 [16].

    The first 64 say which of the 8x8 lowest frequencies of a small grey copy are above their median (the DCT hash); the
    last 64 where brightness rises from left to right (the difference hash). The mean brightness says nothing.

    Args:
        image: RGB, of any size.
    """
    grey = image.convert("L")
    # A photograph becomes small in steps of two first, which Pillow does fast.
    grey = grey.reduce(max(1, min(grey.size) // (2 * SIDE)))
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    rises = np.asarray(grey.resize((LOW + 1, LOW), Image.Resampling.BOX), dtype=np.int16)
    frequencies = dctn(small)[:LOW, :LOW].ravel()
    frequencies[0] = np.median(frequencies[1:])
    bits = np.concatenate([frequencies > np.median(frequencies), (rises[:, 1:] > rises[:, :-1]).ravel()])
    return np.packbits(bits)


def differing_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return in how many bits hashes differ, int64 [n], of two arrays uint8 [n, 16]."""
    counted: np.ndarray = np.unpackbits(first ^ second, axis=1).sum(axis=1, dtype=np.int64)
    return counted

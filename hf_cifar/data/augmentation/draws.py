"""A counter-based random generator: each image of a batch has draws of its own, made for the whole batch at once.

A generator with a state would have to be set for each image. Here a draw is a function of the seed, the epoch, the
image's row in its split, and what it is for: whatever the batch size, the number of workers and processes, and
wherever training was resumed.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_WORDS = 4  # that one counter gives


class Purpose(IntEnum):
    """What draws are for; one purpose never sees the numbers of another."""

    SHIFT = 0
    POLICY = 1
    ERASING = 2
    MIXING = 3


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch of images.

    Attributes:
        seed: of the run; its lowest 64 bits count.
        epoch: from 0.
        rows: of the images in their split, int64 [n].
    """

    seed: int
    epoch: int
    rows: np.ndarray

    def uniform(self, purpose: Purpose, count: int) -> np.ndarray:
        """Return `count` numbers for each image, uniform in [0, 1), float64 [n, count]."""
        blocks = -(-count // _WORDS)
        rows = np.asarray(self.rows, dtype=np.uint64)[:, None]
        counters = np.empty((_WORDS, len(rows), blocks), dtype=np.uint64)
        counters[0] = rows & _LOW
        counters[1] = rows >> _32
        counters[2] = self.epoch
        counters[3] = (purpose << 16) + np.arange(blocks)
        words = philox(counters, self.seed % 2**64)
        return np.moveaxis(words, 0, -1).reshape(len(rows), -1)[:, :count] / 2.0**32


def philox(counters: np.ndarray, key: int) -> np.ndarray:
    """Return the random words of Philox 4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3").

    Args:
        counters: uint64 [4, ...], of which each value is below 2**32.
        key: below 2**64.

    Returns:
        As the counters, uniform over 32 bits.
    """
    first, second, third, fourth = counters
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(_ROUNDS):
        left, right = _MULTIPLIERS[0] * first, _MULTIPLIERS[1] * third
        first, third = (right >> _32) ^ second ^ np.uint64(keys[0]), (left >> _32) ^ fourth ^ np.uint64(keys[1])
        second, fourth = right & _LOW, left & _LOW
        keys = [(word + step) & 0xFFFFFFFF for word, step in zip(keys, _KEY_STEPS, strict=True)]
    return np.stack([first, second, third, fourth])

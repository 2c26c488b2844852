"""Group images that are the same by a hash of what they hold."""

import numpy as np


def first_twins(hashes: np.ndarray) -> np.ndarray:
    """Return for each image the position of the first one with its hash, its own where it is that one.

    Args:
        hashes: uint64 [n]; 0 stands for an image that could not be read, which is nobody's twin.

    Returns:
        int64 [n].
    """
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    result = first[group.reshape(-1)].astype(np.int64)
    return np.where(hashes == 0, np.arange(len(hashes)), result)

"""Find near-duplicates: pairs of images that are alike to a network and to a perceptual hash.

Features are whitened first. The cosines of pooled features as they come are high for any two images, since all of a
network's features are positive and a few directions carry most of their variance; after whitening, images that have
nothing in common are near 0, and near-duplicates stand out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from hf_cifar.audit.perceptual_hash import differing_bits
from hf_cifar.utils.progress import progress

ROWS, COLUMNS = 2_048, 8_192  # of the block of the matrix of cosines that is in memory
BATCH = 16_384
DIRECTIONS = 128
IMAGES_PER_DIRECTION = 10  # fewer would whiten noise
LEAST_VARIANCE = 1e-6  # of the largest
MAX_PAIRS = 200_000


@dataclass(frozen=True)
class NearPairs:
    """Pairs of near-duplicates, the most alike first.

    Attributes:
        first, second: int64 [m], positions, the smaller one first.
        cosines: float32 [m].
        bits: int64 [m], in which the perceptual hashes differ.
        complete: whether these are all; otherwise the most alike of too many.
    """

    first: np.ndarray
    second: np.ndarray
    cosines: np.ndarray
    bits: np.ndarray
    complete: bool = True


def whitened(batches: Callable[[slice], np.ndarray], total: int) -> np.ndarray:
    """Return the directions of features: whitened, of length 1, float32 [total, at most 128].

    Args:
        batches: returns the features of some images, float32 [n, d].
        total: number of images; memory is needed for `total` of the result, and for one batch of features.
    """
    slices = [slice(first, min(first + BATCH, total)) for first in range(0, total, BATCH)]
    mean = sum(batches(part).sum(axis=0, dtype=np.float64) for part in slices) / max(total, 1)
    spread = sum(((centred := batches(part) - mean).T @ centred) for part in slices) / max(total, 1)
    variances, axes = np.linalg.eigh(spread)
    count = min(DIRECTIONS, max(1, total // IMAGES_PER_DIRECTION), len(variances))
    used = np.flatnonzero(variances > LEAST_VARIANCE * max(float(variances[-1]), 1e-30))[-count:]
    projection = axes[:, used] / np.sqrt(variances[used])
    result = np.empty((total, len(used)), dtype=np.float32)
    for part in slices:
        values = (batches(part) - mean) @ projection
        result[part] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return result


def near_duplicates(directions: np.ndarray, looks: np.ndarray, min_cosine: float, max_bits: int) -> NearPairs:
    """Return the pairs that pass both thresholds. Memory does not grow with the square of the number of images.

    Args:
        directions: float32 [n, d], of length 1.
        looks: uint8 [n, 16], perceptual hashes.
        min_cosine, max_bits: the thresholds.
    """
    vectors = torch.from_numpy(directions)
    found = [_no_pairs()]
    complete = True
    for top in progress(range(0, len(vectors), ROWS), "near-duplicates", "block"):
        for left in range(top, len(vectors), COLUMNS):
            block = vectors[top : top + ROWS] @ vectors[left : left + COLUMNS].T
            rows, columns = (indices.numpy() for indices in torch.nonzero(block >= min_cosine, as_tuple=True))
            first, second = rows + top, columns + left
            upper = first < second
            rows, columns, first, second = rows[upper], columns[upper], first[upper], second[upper]
            bits = differing_bits(looks[first], looks[second])
            near = bits <= max_bits
            cosines = block.numpy()[rows[near], columns[near]]
            found.append(NearPairs(first[near], second[near], cosines, bits[near]))
        if sum(len(pairs.first) for pairs in found) > MAX_PAIRS:
            found, complete = [_joined(found, MAX_PAIRS)], False
    pairs = _joined(found, MAX_PAIRS)
    return NearPairs(pairs.first, pairs.second, pairs.cosines, pairs.bits, complete)


def _no_pairs() -> NearPairs:
    none = np.empty(0, dtype=np.int64)
    return NearPairs(none, none, np.empty(0, dtype=np.float32), none)


def _joined(found: list[NearPairs], limit: int) -> NearPairs:
    first, second, cosines, bits = (
        np.concatenate([getattr(pairs, name) for pairs in found]) for name in ("first", "second", "cosines", "bits")
    )
    order = np.argsort(-cosines, kind="stable")[:limit]
    return NearPairs(first[order], second[order], cosines[order], bits[order])

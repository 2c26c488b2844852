"""Logits of images by probes that did not see them: each image's by the probe that was fitted on the other folds."""

import numpy as np

from hf_cifar.training.probe.logistic import solve_path
from hf_cifar.utils.progress import say

STRENGTH = 3e-3  # the best of the recipe's path on CIFAR-10 with a ResNet-18; a doubt needs no more
MAX_ITERATIONS = 500
MAX_FITTED = 100_000  # images; more take hours and change no label's doubt


def out_of_fold_logits(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, num_labels: int, folds: int, seed: int
) -> np.ndarray:
    """Return logits, float32 [n, labels].

    Args:
        features: float32 [n, d], frozen.
        labels: int64 [n].
        groups: int64 [n]; images of one group, such as twins, are in one fold.
        num_labels: number of classes.
        folds: stratified by the label of the first image of each group.
        seed: of the folds.
    """
    fold = fold_of(labels, groups, folds, seed)
    logits = np.zeros((len(labels), num_labels), dtype=np.float32)
    for number in range(folds):
        held, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if not len(held) or not len(others):
            continue
        if len(others) > MAX_FITTED:
            others = np.sort(np.random.default_rng(seed).choice(others, MAX_FITTED, replace=False))
        say(f"labels: fold {number + 1} of {folds}, a probe on {len(others):,} images judges the other {len(held):,}")
        (solution,) = solve_path(features[others], labels[others], num_labels, [STRENGTH], MAX_ITERATIONS)
        logits[held] = solution.logits(features[held])
    return logits


def fold_of(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each image, int64 [n]: the members of a class are dealt out in turn, groups as a whole."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    of_group = np.empty(len(first), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(first))
    # Dealt class after class without starting over, so that folds are of one size too.
    order = order[np.argsort(labels[first][order], kind="stable")]
    of_group[order] = np.arange(len(first)) % folds
    return of_group[group.reshape(-1)]

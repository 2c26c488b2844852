"""Train, validation and test splits, held out where the source lacks them. Nothing is ever chosen on test."""

from dataclasses import dataclass, replace

import numpy as np

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.content import MAX_IMAGES, identical_to
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.errors import InputError
from hf_cifar.run.origins import SplitKind, SplitOrigin
from hf_cifar.utils.formatting import counted, listed
from hf_cifar.utils.progress import say

TEST_FRACTION = 0.2
TEST_SEED = 0
NAMED = 3  # unreadable images that the warning names at most


@dataclass(frozen=True)
class Splits:
    """The three parts of a run's data.

    Attributes:
        train, validation, test: no image is in two of them.
        origin: for each part, where its images come from.
        num_corrupt: for each part, unreadable images that were left out.
    """

    train: LabeledImages
    validation: LabeledImages
    test: LabeledImages
    origin: dict[str, SplitOrigin]
    num_corrupt: dict[str, int]

    def parts(self) -> dict[str, LabeledImages]:
        """Return the parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def make_splits(source: Source, config: DataConfig, seed: int) -> Splits:
    """Hold out the splits that the source lacks, stratified by class.

    Without a test split, the published validation split takes its place; without either, a fifth of train is held out
    by a fixed seed, so that runs with different seeds are measured on the same images.

    Args:
        source: the dataset.
        config: fractions and limits.
        seed: of the validation split and of the choice of a subset.

    Raises:
        InputError: a split would have no images.
    """
    splits = dict(source.splits)
    origin = {name: SplitOrigin(SplitKind.PUBLISHED, name) for name in splits}
    num_corrupt = dict.fromkeys(("train", "validation", "test"), 0)
    if config.skip_corrupt:
        for name, images in splits.items():
            splits[name], num_corrupt[name] = without_corrupt(images)
            if not len(splits[name]):
                raise InputError(f"every image of {name} is unreadable")
    if "test" not in splits and "validation" in splits:
        splits["test"], num_corrupt["test"] = splits.pop("validation"), num_corrupt["validation"]
        num_corrupt["validation"] = 0
        origin["test"] = SplitOrigin(SplitKind.PUBLISHED, "validation", substitute=True)
    if "test" not in splits:
        splits["train"], splits["test"] = _hold_out(splits["train"], TEST_FRACTION, TEST_SEED)
        origin["test"] = SplitOrigin(SplitKind.HELD_OUT, "train", TEST_FRACTION, TEST_SEED, substitute=True)
        origin["train"] = SplitOrigin(SplitKind.REST, "train")
    if "validation" not in splits:
        splits["train"], splits["validation"] = _hold_out(splits["train"], config.val_fraction, seed)
        origin["validation"] = SplitOrigin(SplitKind.HELD_OUT, "train", config.val_fraction, seed)
        origin["train"] = SplitOrigin(SplitKind.REST, "train")
    limits = {"validation": config.max_eval_samples, "test": config.max_eval_samples, "train": config.max_train_samples}
    for name, limit in limits.items():
        splits[name], origin[name] = limited(splits[name], origin[name], limit, seed)
        if len(splits[name]) == 0:
            raise InputError(f"{name} has no images: the dataset is too small to hold any out")
    marked = {name: replace(images, part=name) for name, images in splits.items()}
    return Splits(marked["train"], marked["validation"], marked["test"], origin, num_corrupt)


def _hold_out(images: LabeledImages, fraction: float, seed: int) -> tuple[LabeledImages, LabeledImages]:
    """Divide images into those that stay and a stratified part that is held out, with identical files on one side.

    One of each group of twins is drawn for all of them. Twins whose labels contradict each other stay: nothing can be
    measured on them.
    """
    labels, first = images.targets, _first_twins(images)
    contradicted = first[labels != labels[first]]
    drawn = np.setdiff1d(np.unique(first), contradicted)
    if not len(drawn):
        return images, images.select(drawn)
    chosen = drawn[stratified_choice(labels[drawn], round(fraction * len(drawn)), seed, leave=1)]
    held = np.flatnonzero(np.isin(first, chosen))
    kept = np.setdiff1d(np.arange(len(images)), held)
    return images.select(kept), images.select(held)


def _first_twins(images: LabeledImages) -> np.ndarray:
    if len(images) > MAX_IMAGES:
        say(f"{images.name}: identical files are not looked for among {len(images):,} images; --stage audit does")
        return np.arange(len(images))
    return identical_to(images)


def without_corrupt(images: LabeledImages) -> tuple[LabeledImages, int]:
    """Return the images that can be read, found by reading every one, and the number of the others, which are named."""
    corrupt = list(images.corrupt())
    if corrupt:
        names = listed(images.select(np.array(corrupt)).files(), NAMED)
        say(f"warning: {counted(len(corrupt), 'unreadable image')} of {images.name} left out: {names}")
    return images.select(np.delete(np.arange(len(images)), corrupt)), len(corrupt)


def limited(
    images: LabeledImages, origin: SplitOrigin, limit: int | None, seed: int
) -> tuple[LabeledImages, SplitOrigin]:
    """Return a stratified seeded subset of at most `limit` images, and where it comes from."""
    if limit is None or limit >= len(images):
        return images, origin
    chosen = images.index[stratified_choice(images.targets, limit, seed)]
    return replace(images, index=chosen), replace(origin, limit=limit, limit_seed=seed)


def stratified_choice(labels: np.ndarray, count: int, seed: int, leave: int = 0) -> np.ndarray:
    """Choose `count` positions with the classes in the proportions of the whole (the largest-remainder method).

    Each class gives its share rounded down; the classes with the largest remainders give one more. Unlike
    scikit-learn's splitters it takes classes of any size, down to one member.

    Args:
        labels: int [n].
        count: positions to choose.
        seed: of the choice.
        leave: members of each class that stay unchosen, at the cost of fewer than `count`.

    Returns:
        int64 [count], ascending.
    """
    rng = np.random.default_rng(seed)
    classes, members = np.unique(labels, return_counts=True)
    share = members * (count / len(labels))
    quota = np.floor(share).astype(int)
    largest = np.argsort(-(share - quota), kind="stable")
    quota[largest[: count - quota.sum()]] += 1
    quota = np.minimum(quota, np.maximum(members - leave, 0))
    chosen = [rng.permutation(np.flatnonzero(labels == name))[:size] for name, size in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)

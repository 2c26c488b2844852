"""Train, validation and test splits, held out where the source lacks them. Nothing is ever chosen on test."""

from dataclasses import dataclass, replace

import datasets
import numpy as np

from hf_cifar.config.parts import DataConfig
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.errors import InputError
from hf_cifar.utils.progress import say

TEST_FRACTION = 0.2
TEST_SEED = 0


@dataclass(frozen=True)
class Splits:
    """The three parts of a run's data.

    Attributes:
        train, validation, test: disjoint.
        origin: of each part, in words.
        num_corrupt: unreadable images that were left out of each part.
    """

    train: LabeledImages
    validation: LabeledImages
    test: LabeledImages
    origin: dict[str, str]
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
    origin = {name: f"the source's {name} split" for name in splits}
    num_corrupt = dict.fromkeys(("train", "validation", "test"), 0)
    if config.skip_corrupt:
        for name, images in splits.items():
            bad = list(images.corrupt())
            num_corrupt[name] = len(bad)
            splits[name] = images.select(np.delete(np.arange(len(images)), bad))
    if "test" not in splits and "validation" in splits:
        splits["test"], num_corrupt["test"] = splits.pop("validation"), num_corrupt["validation"]
        num_corrupt["validation"] = 0
        origin["test"] = "the source's validation split; it has no test split"
    if "test" not in splits:
        splits["train"], splits["test"] = _hold_out(splits["train"], TEST_FRACTION, TEST_SEED)
        origin["test"] = f"{TEST_FRACTION:.0%} of train, held out by seed {TEST_SEED}; the source has no test split"
        origin["train"] = "the rest of train"
    if "validation" not in splits:
        splits["train"], splits["validation"] = _hold_out(splits["train"], config.val_fraction, seed)
        origin["validation"] = f"{config.val_fraction:.0%} of train, held out by seed {seed}"
        origin["train"] = "the rest of train"
    limits = {
        "train": config.max_train_samples,
        "validation": config.max_eval_samples,
        "test": config.max_eval_samples,
    }
    for name, limit in limits.items():
        if limit is not None and limit < len(splits[name]):
            splits[name] = _subset(splits[name], limit, seed)
            origin[name] += f"; {limit} of its images, chosen by seed {seed}"
        if len(splits[name]) == 0:
            raise InputError(f"{name} has no images: the dataset is too small to hold any out")
    parts = {name: replace(images, part=name) for name, images in splits.items()}
    return Splits(parts["train"], parts["validation"], parts["test"], origin, num_corrupt)


def evaluation_images(
    source: Source, config: DataConfig, seed: int, requested: str | None, own: bool
) -> tuple[LabeledImages, str, str]:
    """Choose the images that a trained model is measured on.

    Args:
        source: the dataset.
        config, seed: of the splits, as in `make_splits`.
        requested: train, validation or test, as a run would split the source; all, every image of it; None, test, or
            every image of a source without splits that the model was not trained on.
        own: whether the model was trained on this source.

    Returns:
        The images, the name of their split, and their origin in words.

    Raises:
        InputError: the source has no such split.
    """
    unsplit = list(source.splits) == ["train"]
    if requested == "all" or (requested is None and unsplit and not own):
        return _limited(_together(source), "all", "every image of the source", config, seed)
    if "train" in source.splits:
        splits = make_splits(source, config, seed)
        name = requested or "test"
        if splits.num_corrupt[name]:
            say(f"warning: {splits.num_corrupt[name]} images of {name} cannot be read and are left out")
        return splits.parts()[name], name, splits.origin[name]
    name = requested or ("test" if "test" in source.splits else next(iter(source.splits)))
    if name not in source.splits:
        raise InputError(f"--split {name}: {source.name} has no such split, only {', '.join(source.splits)}")
    return _limited(source.splits[name], name, f"the source's {name} split", config, seed)


def _limited(
    images: LabeledImages, name: str, origin: str, config: DataConfig, seed: int
) -> tuple[LabeledImages, str, str]:
    """Leave out unreadable images with --skip-corrupt, and apply --max-eval-samples."""
    if config.skip_corrupt:
        bad = list(images.corrupt())
        images = images.select(np.delete(np.arange(len(images)), bad))
        if bad:
            say(f"warning: {len(bad)} images of {name} cannot be read and are left out")
    limit = config.max_eval_samples
    if limit is not None and limit < len(images):
        images, origin = _subset(images, limit, seed), f"{origin}; {limit} of its images, chosen by seed {seed}"
    return replace(images, part=name), name, origin


def _together(source: Source) -> LabeledImages:
    """Join every image of a source into one split, `all`, whose rows count through the splits."""
    parts = list(source.splits.values())
    if len(parts) == 1:
        return parts[0]
    rows = datasets.concatenate_datasets([part.rows for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return LabeledImages("all", rows, labels, np.arange(len(rows)), "+".join(part.fingerprint for part in parts))


def _hold_out(images: LabeledImages, fraction: float, seed: int) -> tuple[LabeledImages, LabeledImages]:
    held = stratified_choice(images.targets, round(fraction * len(images)), seed, leave=1)
    kept = np.setdiff1d(np.arange(len(images)), held)
    return images.select(kept), images.select(held)


def _subset(images: LabeledImages, count: int, seed: int) -> LabeledImages:
    return replace(images, index=images.index[stratified_choice(images.targets, count, seed)])


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

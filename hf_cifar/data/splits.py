"""Train, validation and test: what is held out, and from where. The test split never chooses anything."""

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
        train, validation, test: no image is in two of them.
        origin: for each part, in words, where it comes from.
        num_corrupt: for each part, how many unreadable images were left out.
    """

    train: LabeledImages
    validation: LabeledImages
    test: LabeledImages
    origin: dict[str, str]
    num_corrupt: dict[str, int]

    def parts(self) -> dict[str, LabeledImages]:
        """The parts by their names."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def make_splits(source: Source, config: DataConfig, seed: int) -> Splits:
    """Hold out what the source lacks, stratified by class.

    Where there is no test split, the published validation split takes its place; where there is neither, a fifth
    of train is held out by a fixed seed, so that runs with different seeds are measured on the same images.

    Args:
        source: what was found.
        config: fractions and limits.
        seed: rules the validation split and the choice of a subset.
    """
    found = dict(source.splits)
    origin = {name: f"the source's {name} split" for name in found}
    num_corrupt = dict.fromkeys(("train", "validation", "test"), 0)
    if config.skip_corrupt:
        for name, images in found.items():
            bad = list(images.corrupt())
            num_corrupt[name] = len(bad)
            found[name] = images.select(np.delete(np.arange(len(images)), bad))
    if "test" not in found and "validation" in found:
        found["test"], num_corrupt["test"] = found.pop("validation"), num_corrupt["validation"]
        num_corrupt["validation"] = 0
        origin["test"] = "the source's validation split; it has no test split"
    if "test" not in found:
        found["train"], found["test"] = _hold_out(found["train"], TEST_FRACTION, TEST_SEED)
        origin["test"] = f"{TEST_FRACTION:.0%} of train, held out by seed {TEST_SEED}; the source has no test split"
        origin["train"] = "the rest of train"
    if "validation" not in found:
        found["train"], found["validation"] = _hold_out(found["train"], config.val_fraction, seed)
        origin["validation"] = f"{config.val_fraction:.0%} of train, held out by seed {seed}"
        origin["train"] = "the rest of train"
    limits = {
        "train": config.max_train_samples,
        "validation": config.max_eval_samples,
        "test": config.max_eval_samples,
    }
    for name, limit in limits.items():
        if limit is not None and limit < len(found[name]):
            found[name] = _subset(found[name], limit, seed)
            origin[name] += f"; {limit} of its images, chosen by seed {seed}"
        if len(found[name]) == 0:
            raise InputError(f"{name} has no images: the dataset is too small to hold any out")
    marked = {name: replace(images, part=name) for name, images in found.items()}
    return Splits(marked["train"], marked["validation"], marked["test"], origin, num_corrupt)


def evaluation_images(
    source: Source, config: DataConfig, seed: int, asked: str | None, own: bool
) -> tuple[LabeledImages, str, str]:
    """The images that a trained model is measured on.

    Args:
        source: what was found.
        config, seed: of the splits, as in `make_splits`.
        asked: train, validation or test, as a run would split the source; all, every image of it; None: test, or
            every image where nothing says that any part of them is for tests.
        own: whether the model was trained on this source.

    Returns:
        The images, the name of their split, and where they come from, in words.

    Raises:
        InputError: the source has no such split.
    """
    unsplit = list(source.splits) == ["train"]
    if asked == "all" or (asked is None and unsplit and not own):
        return _limited(_together(source), "all", "every image of the source", config, seed)
    if "train" in source.splits:
        splits = make_splits(source, config, seed)
        name = asked or "test"
        if splits.num_corrupt[name]:
            say(f"warning: {splits.num_corrupt[name]} images of {name} cannot be read and are left out")
        return splits.parts()[name], name, splits.origin[name]
    name = asked or ("test" if "test" in source.splits else next(iter(source.splits)))
    if name not in source.splits:
        raise InputError(f"--split {name}: {source.name} has no such split, only {', '.join(source.splits)}")
    return _limited(source.splits[name], name, f"the source's {name} split", config, seed)


def _limited(
    images: LabeledImages, name: str, origin: str, config: DataConfig, seed: int
) -> tuple[LabeledImages, str, str]:
    """Without what cannot be read, if that was asked for, and no more than were asked for."""
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
    """Every image of a source as one split, `all`; its rows count through the splits."""
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
    """Positions of `count` items, in order, with the classes in the proportions of the whole.

    Each class gives its share rounded down; the classes with the largest remainders give one more. Unlike
    scikit-learn's splitters it takes any class sizes, down to a class with one member.

    Args:
        labels: int [n].
        count: how many of the n to choose.
        seed: the choice is the same for the same seed.
        leave: how many of each class must not be chosen; where that binds, fewer than `count` are.

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

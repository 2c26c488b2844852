"""Choose the images that a trained model is measured on, knowing which ones it was trained on."""

from dataclasses import dataclass, replace

import datasets
import numpy as np

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.content import image_hashes
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.data.splits import limited, make_splits, without_corrupt
from hf_cifar.errors import InputError
from hf_cifar.run.origins import SplitKind, SplitOrigin
from hf_cifar.run.recorded_run import RecordedRun


@dataclass(frozen=True)
class EvaluationSplit:
    """Images to measure a model on.

    Attributes:
        images: the images.
        name: train, validation, test or all.
        origin: where they come from.
        num_corrupt: unreadable images that were left out.
        num_trained_on: images that are identical to training images of the model; None where these are not known.
        num_left_out: images that were left out because the model was trained on them.
    """

    images: LabeledImages
    name: str
    origin: SplitOrigin
    num_corrupt: int = 0
    num_trained_on: int | None = None
    num_left_out: int = 0


def evaluation_split(
    source: Source, config: DataConfig, seed: int, asked: str | None, run: RecordedRun | None
) -> EvaluationSplit:
    """Choose the images to measure a model on.

    Data that the model's run was trained on is recognised by its fingerprint: its splits are then the ones that the
    run recorded. Of a dataset without splits every image is measured, but for those that are identical to a training
    image of the model.

    Args:
        source: the dataset.
        config: fractions and limits.
        seed: of a split that the source lacks, and of the choice of a subset.
        asked: train, validation or test, as a run would split the source; all, every image of it; None: test, or
            every image that the model was not trained on where the dataset has no splits.
        run: the run that trained the model, where it is known.

    Raises:
        InputError: the source has no such split, or no image that the model was not trained on.
    """
    own = run is not None and is_own_data(source, run)
    unsplit = list(source.splits) == ["train"]
    if own and asked != "all":
        assert run is not None
        split = _recorded_split(source, run, asked or "test")
    elif asked == "all" or (asked is None and unsplit):
        split = _readable(EvaluationSplit(_together(source), "all", SplitOrigin(SplitKind.WHOLE, "all")), config)
    else:
        split = _published_split(source, config, seed, asked)
    split = _checked_against_training(split, run, leave_out=asked is None and split.name == "all")
    images, origin = limited(split.images, split.origin, config.max_eval_samples, seed)
    return replace(split, images=replace(images, part=split.name), origin=origin)


def is_own_data(source: Source, run: RecordedRun) -> bool:
    """Return whether a dataset has the content that a run was trained on, wherever it is now."""
    return bool(run.splits) and all(
        part.split in source.splits and source.splits[part.split].fingerprint == part.fingerprint
        for part in run.splits.values()
    )


def _recorded_split(source: Source, run: RecordedRun, name: str) -> EvaluationSplit:
    part = run.splits[name]
    images = replace(source.splits[part.split], index=np.array(part.rows, dtype=np.int64))
    return EvaluationSplit(images, name, run.split_origins.get(name, SplitOrigin(SplitKind.PUBLISHED, part.split)))


def _published_split(source: Source, config: DataConfig, seed: int, asked: str | None) -> EvaluationSplit:
    if "train" in source.splits:
        splits, name = make_splits(source, replace(config, max_eval_samples=None), seed), asked or "test"
        return EvaluationSplit(splits.parts()[name], name, splits.origin[name], splits.num_corrupt[name])
    name = asked or ("test" if "test" in source.splits else next(iter(source.splits)))
    if name not in source.splits:
        raise InputError(f"--split {name}: {source.name} has no such split, only {', '.join(source.splits)}")
    return _readable(EvaluationSplit(source.splits[name], name, SplitOrigin(SplitKind.PUBLISHED, name)), config)


def _readable(split: EvaluationSplit, config: DataConfig) -> EvaluationSplit:
    """Leave out images that cannot be read, if that was asked for."""
    if not config.skip_corrupt:
        return split
    images, num_corrupt = without_corrupt(split.images)
    return replace(split, images=images, num_corrupt=num_corrupt)


def _checked_against_training(split: EvaluationSplit, run: RecordedRun | None, leave_out: bool) -> EvaluationSplit:
    """Count the images that the model was trained on, and leave them out where every image of a dataset is measured."""
    trained = run.image_hashes("train") if run is not None else None
    if trained is None:
        return split
    seen = np.isin(image_hashes(split.images), trained)
    if not leave_out or not seen.any():
        return replace(split, num_trained_on=int(seen.sum()))
    if seen.all():
        raise InputError(
            "the model was trained on every image of this dataset: give other images, or measure them anyway with "
            "--split all"
        )
    images, origin = split.images.select(np.flatnonzero(~seen)), SplitOrigin(SplitKind.UNSEEN, "all")
    return replace(split, images=images, origin=origin, num_trained_on=0, num_left_out=int(seen.sum()))


def _together(source: Source) -> LabeledImages:
    """Return every image of a source as one split, `all`; its rows count through the splits."""
    parts = list(source.splits.values())
    if len(parts) == 1:
        return parts[0]
    rows = datasets.concatenate_datasets([part.rows for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    fingerprint = "+".join(part.fingerprint for part in parts)
    first = parts[0]
    return LabeledImages("all", rows, labels, np.arange(len(rows)), fingerprint, folders=first.folders, root=first.root)

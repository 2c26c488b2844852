"""Images that a model was not made for: those of any folder or dataset, whose labels do not matter."""

from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np

from hf_cifar.config.locate import locate_dataset
from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.image_files import files_below, readable_suffixes
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.local_folder import PARQUET
from hf_cifar.data.saved_datasets import is_saved_dataset
from hf_cifar.data.sources import load_source
from hf_cifar.data.splits import stratified_choice, without_corrupt
from hf_cifar.errors import InputError

SPLIT = "foreign"


@dataclass(frozen=True)
class ForeignImages:
    """Images of another dataset.

    Attributes:
        name: of the dataset.
        images: with labels that say nothing.
    """

    name: str
    images: LabeledImages


def foreign_images(name: str, limit: int | None, seed: int, skip_corrupt: bool) -> ForeignImages:
    """Return every image below a folder; of another dataset its test split, or else the first that it has.

    Args:
        name: a folder of images, with or without classes, or what `--dataset` takes.
        limit: at most so many of them, chosen by the seed.
        seed: of the choice.
        skip_corrupt: leave out those that cannot be read.

    Raises:
        InputError: there are none.
    """
    location = locate_dataset(name)
    paths = _image_files(Path(location.name)) if location.kind == "folder" else []
    if paths:
        title, images = Path(location.name).resolve().name, _unlabelled(paths)
    else:
        source = load_source(DataConfig(dataset=name), for_training=False)
        title, images = source.name, source.splits.get("test", next(iter(source.splits.values())))
    if limit is not None and limit < len(images):
        images = images.select(stratified_choice(np.zeros(len(images), dtype=np.int64), limit, seed))
    if skip_corrupt:
        images, _ = without_corrupt(images)
    if not len(images):
        raise InputError(f"--ood-dataset {name} holds no images that can be read")
    return ForeignImages(title, images)


def _image_files(folder: Path) -> list[str]:
    """Return the image files below a folder; none where the images are in files of another kind."""
    if not folder.is_dir() or is_saved_dataset(folder):
        return []
    found = [path for path, fault in files_below(str(folder), readable_suffixes() | {PARQUET}) if not fault]
    return [] if any(path.lower().endswith(PARQUET) for path in found) else found


def _unlabelled(paths: list[str]) -> LabeledImages:
    rows = datasets.Dataset.from_dict({"image": paths}).cast_column("image", datasets.Image(decode=False))
    return LabeledImages(SPLIT, rows, np.zeros(len(paths), np.int64), np.arange(len(paths)), fingerprint=SPLIT)

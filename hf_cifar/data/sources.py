"""Where data comes from: the Hub, a folder of Parquet files, an image folder, or the bundled digits."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from hf_cifar.config.locate import DatasetLocation, locate_dataset
from hf_cifar.config.parts import DataConfig
from hf_cifar.data.columns import find_labels, image_column, label_column
from hf_cifar.data.images import LabeledImages
from hf_cifar.errors import InputError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
DIGIT_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@dataclass(frozen=True)
class Source:
    """A dataset as it was found: its splits under their usual names, before anything is held out.

    Attributes:
        name: what outputs call it: a Hub id, a folder's name, or "digits (scikit-learn)".
        revision: the commit of a Hub dataset.
        splits: some of train, validation and test; for training, train is there.
        label_names: one a class.
    """

    name: str
    revision: str | None
    splits: dict[str, LabeledImages]
    label_names: list[str]


def load_source(config: DataConfig, for_training: bool = True) -> Source:
    """Find and open the dataset that `config` names.

    Args:
        config: its name, columns and revision.
        for_training: whether it must have a train split, with two classes at least.

    Raises:
        InputError: it is not there, holds no images, has labels that do not fit, or is not fit for training.
    """
    location = locate_dataset(config.dataset)
    revision = None
    if location.kind == "bundled":
        name, tables = "digits (scikit-learn)", {"train": _digits()}
        marks = {"train": _digest([tables["train"].data.column("image").to_pylist()])}
    elif location.kind == "folder":
        name, tables, marks = Path(location.name).resolve().name, *_folder(Path(location.name))
    else:
        name, tables = location.name, _hub(location, config)
        revision = _revision(tables)
        marks = {split: _digest([name, revision, config.dataset_config, split]) for split in tables}
    if for_training and "train" not in tables:
        raise InputError(f"--dataset {config.dataset} has no train split, only {', '.join(tables)}")
    source = _labelled(name, revision, tables, marks, config)
    if for_training and len(set(source.splits["train"].labels.tolist())) < 2:
        raise InputError(f"{name} has only one class in train: a classifier needs at least two")
    return source


def usual_split(name: str) -> str | None:
    """train, validation or test, for any of the names that they go by; None for another name."""
    return next((usual for usual, names in SPLIT_NAMES.items() if name.lower() in names), None)


def _labelled(
    name: str,
    revision: str | None,
    tables: dict[str, datasets.Dataset],
    marks: dict[str, str],
    config: DataConfig,
) -> Source:
    first = tables["train"] if "train" in tables else next(iter(tables.values()))
    image = image_column(first.features, config.image_column)
    label = label_column(first.features, config.label_column, image)
    labels = find_labels(first.features[label], first[label][:], label)
    splits = {}
    for split, table in tables.items():
        for column in (image, label):
            if column not in table.column_names:
                raise InputError(f"{split} has no column {column!r}; its columns: {', '.join(table.column_names)}")
        encoded = labels.encode(table[label][:], split)
        rows = _undecoded(table.select_columns([image]), image, split)
        splits[split] = LabeledImages(split, rows, encoded, np.arange(len(rows)), _digest([marks[split], image, label]))
    return Source(name, revision, splits, labels.names)


def _undecoded(table: datasets.Dataset, column: str, split: str) -> datasets.Dataset:
    if column != "image":
        table = table.rename_column(column, "image")
    try:
        return table.cast_column("image", datasets.Image(decode=False))
    except (TypeError, ValueError, datasets.exceptions.DatasetsError) as error:
        kind = table.features["image"]
        raise InputError(f"column {column!r} of {split} does not hold images but {kind}; see --image-column") from error


def _digits() -> datasets.Dataset:
    """scikit-learn's 1,797 scans of handwritten digits, 8x8 pixels, as RGB images."""
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = np.rint(found.images * (255 / 16)).astype(np.uint8)
    images = [Image.fromarray(np.repeat(scan[:, :, None], 3, axis=2)) for scan in grey]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=DIGIT_NAMES)})
    return datasets.Dataset.from_dict({"image": images, "label": found.target.tolist()}, features=features)


def _hub(location: DatasetLocation, config: DataConfig) -> dict[str, datasets.Dataset]:
    try:
        found = datasets.load_dataset(location.name, config.dataset_config, revision=config.dataset_revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"dataset {location.name} cannot be loaded from Hub or cache ({' '.join(str(error).split())[:300]}): "
            "check the name, or use a local folder (--dataset DIR)"
        ) from error
    tables = {split: found[name] for name in found if (split := usual_split(name))}
    if not tables:
        raise InputError(f"dataset {location.name} has none of the usual splits; its splits: {', '.join(found)}")
    return tables


def _revision(tables: dict[str, datasets.Dataset]) -> str | None:
    """The commit that a Hub dataset was built from: `datasets` names the folder of its cache after it."""
    files = next(iter(tables.values())).cache_files
    name = Path(files[0]["filename"]).parent.name if files else ""
    return name if re.fullmatch(r"[0-9a-f]{40}", name) else None


def _folder(folder: Path) -> tuple[dict[str, datasets.Dataset], dict[str, str]]:
    """The splits of a local folder, and a mark of the content of each."""
    parquet = _files(folder, {".parquet"})
    groups = _by_split(parquet, folder) if parquet else _by_split(_files(folder, _image_suffixes()), folder)
    if not groups:
        raise InputError(f"--dataset {folder} holds no images: neither Parquet files nor train/CLASS/*.png")
    marks = {split: _digest([_stat(path, folder) for path in paths]) for split, paths in groups.items()}
    if not parquet:
        return {split: _image_folder(paths, folder) for split, paths in groups.items()}, marks
    return {split: _parquet(paths, split) for split, paths in groups.items()}, marks


def _parquet(paths: list[Path], split: str) -> datasets.Dataset:
    try:
        return datasets.load_dataset("parquet", data_files={split: [str(path) for path in paths]}, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        cause = error.__cause__ or error
        raise InputError(
            f"{paths[0]} and its like cannot be read as Parquet ({' '.join(str(cause).split())[:200]})"
        ) from error


def _image_folder(paths: list[Path], folder: Path) -> datasets.Dataset:
    classes = [_class_of(path, folder) for path in paths]
    table = datasets.Dataset.from_dict({"image": [str(path) for path in paths], "label": classes})
    return table.cast_column("image", datasets.Image())


def _class_of(path: Path, folder: Path) -> str:
    """The folder that names the class: the first one below the split's, or below the dataset's."""
    parts = path.relative_to(folder).parts[:-1]
    if parts and usual_split(parts[0]):
        parts = parts[1:]
    if not parts:
        raise InputError(f"{path} is not in the folder of a class: arrange the images as train/CLASS/*.png")
    return parts[0]


def _by_split(paths: Iterable[Path], folder: Path) -> dict[str, list[Path]]:
    """Files by the split that their place stands for, in the Hub's layouts; train where nothing says another."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        *parents, name = path.relative_to(folder).parts
        # train-00000-of-00001.parquet, plain_text/train/0000.parquet; an image's own name says nothing.
        words = [name.split("-")[0].split(".")[0], *parents] if path.suffix == ".parquet" else parents[:1]
        split = next((split for word in words if (split := usual_split(word))), "train")
        groups.setdefault(split, []).append(path)
    return groups


def _files(folder: Path, suffixes: set[str]) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _image_suffixes() -> set[str]:
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN} - {
        ".pdf",
        ".mpg",
    }


def _stat(path: Path, folder: Path) -> tuple[str, int, int]:
    """What changes when a file's content does, without reading it."""
    state = path.stat()
    return str(path.relative_to(folder)), state.st_size, state.st_mtime_ns


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

"""Datasets from the Hub, a local folder or archive, or the bundled digits."""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import huggingface_hub.constants
import numpy as np
from PIL import Image

from hf_cifar.config.locate import DatasetLocation, locate_dataset
from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.archives import unpacked
from hf_cifar.data.columns import find_classes, image_column, label_column, label_columns
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.layout import CLASS_FOLDERS, Layout
from hf_cifar.data.local_folder import read_folder
from hf_cifar.data.split_names import usual_split
from hf_cifar.errors import InputError
from hf_cifar.utils.checksums import sha256_of
from hf_cifar.utils.progress import say

# Where `datasets` keeps the files of a dataset of the Hub.
HUB_FOLDERS = (
    *(datasets.config.HF_DATASETS_CACHE, datasets.config.DOWNLOADED_DATASETS_PATH),
    huggingface_hub.constants.HF_HUB_CACHE,
)
# Up to these a dataset is known by its content: read in about a second.
FEW_FILES, FEW_BYTES = 5_000, 300_000_000
MAX_CLASSES = 25_000  # as in ImageNet-21k
DIGIT_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@dataclass(frozen=True)
class Source:
    """A dataset as it is published: its splits under their usual names, before anything is held out.

    Attributes:
        name: as outputs call it: a Hub id, a folder's name, or "digits (scikit-learn)".
        kind: hub, folder or bundled.
        revision: the commit of a Hub dataset.
        splits: some of train, validation and test; for training, train is there.
        label_names: one for each class; labels of every split are indices into them.
        layout: where in it images and labels were found; None for bundled data.
    """

    name: str
    kind: str
    revision: str | None
    splits: dict[str, LabeledImages]
    label_names: list[str]
    layout: Layout | None = None


def load_source(config: DataConfig, for_training: bool = True) -> Source:
    """Find and open the dataset that `config` names.

    Args:
        config: its name, columns and revision.
        for_training: require a train split with two classes or more.

    Raises:
        InputError: it does not exist, holds no images, has labels that train lacks, or cannot be trained on.
    """
    location = locate_dataset(config.dataset)
    revision: str | None = None
    folders: tuple[Path, ...] | None = None
    words, file_column, root = "", None, None
    if location.kind == "bundled":
        name, tables = "digits (scikit-learn)", {"train": _digits()}
        digests = {"train": _digest([tables["train"].data.column("image").to_pylist()])}
    elif location.kind == "folder":
        path = Path(location.name)
        name, folder = (path.stem, unpacked(path)) if path.is_file() else (path.resolve().name, path)
        local, root = read_folder(folder, config.label_column), folder
        tables, folders, words, file_column = local.tables, local.folders, local.layout, local.file_column
        digests = {split: _digest(_described(paths, folder)) for split, paths in local.files.items()}
    else:
        name, tables = location.name, _hub(location, config)
        revision, folders = _revision(tables), tuple(Path(place).resolve() for place in HUB_FOLDERS)
        digests = {split: _digest([name, revision, config.dataset_config, split]) for split in tables}
    if for_training and "train" not in tables:
        raise InputError(f"--dataset {config.dataset} has no train split, only {', '.join(tables)}")
    splits, label_names, layout = _labelled(tables, digests, config, folders, words)
    splits = {split: replace(images, root=root) for split, images in splits.items()}
    if file_column is not None:
        layout = replace(layout, image_column=file_column)
    if for_training and len(set(splits["train"].labels.tolist())) < 2:
        only = label_names[splits["train"].labels[0]]
        ways = (
            "arrange the images as train/CLASS/*.png, or name them in labels.csv with the columns file_name and label"
        )
        raise InputError(
            f"{name} has only one class in train, {only!r}: a classifier needs at least two"
            + (f"; {ways}" if words == CLASS_FOLDERS else "")
        )
    return Source(name, location.kind, revision, splits, label_names, layout if location.kind != "bundled" else None)


def _labelled(
    tables: dict[str, datasets.Dataset],
    digests: dict[str, str],
    config: DataConfig,
    folders: tuple[Path, ...] | None,
    words: str,
) -> tuple[dict[str, LabeledImages], list[str], Layout]:
    """Return the splits with labels in train's numbering, the names of the classes, and where they were found.

    Without a train split, the first one takes its place.
    """
    for split, table in tables.items():
        if not len(table):
            raise InputError(f"{split} has no rows: remove its files, or fill them")
    reference = "train" if "train" in tables else next(iter(tables))
    features = tables[reference].features
    image = image_column(features, config.image_column)
    label = label_column(features, config.label_column, image)
    classes = find_classes(features[label], tables[reference][label][:], label, reference)
    _check_names(classes.names)
    if not classes.named:
        say(f"warning: the labels in column {label!r} have no names: the classes are called by their numbers")
    layout = Layout(words, image, label, [name for name in label_columns(features, image) if name != label])
    splits = {}
    for split, table in tables.items():
        for column in (image, label):
            if column not in table.column_names:
                raise InputError(f"{split} has no column {column!r}; its columns: {', '.join(table.column_names)}")
        labels = classes.encode(table.features[label], table[label][:], split)
        rows = _undecoded(table.select_columns([image]), image, split)
        fingerprint = _digest([digests[split], image, label])
        splits[split] = LabeledImages(split, rows, labels, np.arange(len(rows)), fingerprint, folders=folders)
    return splits, classes.names, layout


def _check_names(names: list[str]) -> None:
    """Refuse classes that no output could hold, or whose names transformers gives to classes without one."""
    if len(names) > MAX_CLASSES:
        raise InputError(f"{len(names):,} classes: at most {MAX_CLASSES:,}, since logits are held in memory")
    nameless = next((name for index, name in enumerate(names) if name == f"LABEL_{index}"), None)
    if nameless is not None:
        raise InputError(f"a class is called {nameless}, as transformers calls a class without a name: rename it")


def _undecoded(table: datasets.Dataset, column: str, split: str) -> datasets.Dataset:
    if column != "image":
        table = table.rename_column(column, "image")
    try:
        return table.cast_column("image", datasets.Image(decode=False))
    except (TypeError, ValueError, datasets.exceptions.DatasetsError) as error:
        kind = table.features["image"]
        raise InputError(f"column {column!r} of {split} does not hold images but {kind}; see --image-column") from error


def _digits() -> datasets.Dataset:
    """Return scikit-learn's 1,797 scans of handwritten digits, 8x8 pixels, as RGB images."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    images = [Image.fromarray(np.repeat(scan[:, :, None], 3, axis=2)) for scan in grey]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=DIGIT_NAMES)})
    return datasets.Dataset.from_dict({"image": images, "label": digits.target.tolist()}, features=features)


def _hub(location: DatasetLocation, config: DataConfig) -> dict[str, datasets.Dataset]:
    try:
        published = datasets.load_dataset(location.name, config.dataset_config, revision=config.dataset_revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        no_folder = f"no folder {location.name} is here, and " if config.dataset == location.name else ""
        raise InputError(
            f"{no_folder}dataset {location.name} cannot be loaded from Hub or cache "
            f"({' '.join(str(error).split())[:300]}): check the name, or use a local folder (--dataset DIR)"
        ) from error
    tables = {split: published[name] for name in published if (split := usual_split(name))}
    if not tables:
        raise InputError(f"dataset {location.name} has none of the usual splits; its splits: {', '.join(published)}")
    return tables


def _revision(tables: dict[str, datasets.Dataset]) -> str | None:
    """Return the commit that a Hub dataset was built from: `datasets` names the folder of its cache after it."""
    files = next(iter(tables.values())).cache_files
    name = Path(files[0]["filename"]).parent.name if files else ""
    return name if re.fullmatch(r"[0-9a-f]{40}", name) else None


def _described(paths: list[Path], folder: Path) -> list[object]:
    """Return what changes when the content of files does: names and content, or sizes and times of many files."""
    states = [path.stat() for path in paths]
    few = len(paths) <= FEW_FILES and sum(state.st_size for state in states) <= FEW_BYTES
    return [
        (str(path.relative_to(folder)), sha256_of(path) if few else (state.st_size, state.st_mtime_ns))
        for path, state in zip(paths, states, strict=True)
    ]


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

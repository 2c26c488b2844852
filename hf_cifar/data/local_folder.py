"""Datasets in a local folder: Parquet files, images in a folder for each class or named by a file, saved datasets."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow.parquet as pq

from hf_cifar.data.image_files import HEIC_SUFFIXES, files_below, image_suffixes, readable_suffixes
from hf_cifar.data.label_files import SUFFIXES, is_label_file, read_label_files
from hf_cifar.data.layout import CLASS_FOLDERS
from hf_cifar.data.saved_datasets import is_saved_dataset, read_saved_dataset
from hf_cifar.data.split_names import SPLIT_NAMES, splits_in, usual_split
from hf_cifar.errors import InputError
from hf_cifar.utils.progress import say

PARQUET = ".parquet"
NAMED = 3  # empty folders that a warning names at most


@dataclass(frozen=True)
class LocalDataset:
    """A dataset in a local folder, before its columns are known.

    Attributes:
        tables: of each split.
        files: that each split was read from.
        layout: how the folder is arranged, in words.
        folders: where files that rows name must lie; None where this package listed the files itself.
        file_column: that names the images, where a file beside them does.
    """

    tables: dict[str, datasets.Dataset]
    files: dict[str, list[Path]]
    layout: str
    folders: tuple[Path, ...] | None = None
    file_column: str | None = None


def read_folder(folder: Path, label_column: str | None = None) -> LocalDataset:
    """Open the splits of a saved dataset, or else of Parquet files, of images that metadata.csv or a file like it
    names, or of images as SPLIT/CLASS/*.png or CLASS/*.png.

    A split is what names say: in the Hub's layouts, train-00000-of-00001.parquet and plain_text/train/0000.parquet.
    If no name says a split, everything is train; if some do, all must.

    Args:
        folder: of the dataset.
        label_column: the column that was asked for.

    Returns:
        Tables and files. An image folder has the columns `image` and `label`, a string.

    Raises:
        InputError: no images, a file that names no split beside files that do, an image outside a class's folder, or
            files that cannot be read.
    """
    own = (folder.resolve(),)
    if is_saved_dataset(folder):
        return LocalDataset(*read_saved_dataset(folder), "save_to_disk", own)
    found = _files(folder, image_suffixes() | SUFFIXES | {PARQUET})
    tables = [path for path, fault in found if path.suffix.lower() in SUFFIXES | {PARQUET} and not fault]
    parquet = [path for path in tables if path.suffix.lower() == PARQUET and not is_label_file(path)]
    if parquet:
        files = _by_split(parquet, folder, _split_of_parquet)
        return LocalDataset({split: _parquet(paths, split) for split, paths in files.items()}, files, "Parquet", own)
    images = _readable([(path, fault) for path, fault in found if path not in set(tables)], folder)
    named = read_label_files([path for path in tables if is_label_file(path)], images, folder, label_column)
    if named is not None:
        splits, files, words, column = named
        return LocalDataset(splits, files, words, file_column=column)
    files = _by_split(images, folder, _split_of_image)
    if not files:
        raise InputError(f"--dataset {folder} holds no images: neither Parquet files nor train/CLASS/*.png")
    _warn_of_empty(files, folder)
    return LocalDataset({split: _image_folder(paths, folder) for split, paths in files.items()}, files, CLASS_FOLDERS)


def _by_split(paths: Sequence[Path], folder: Path, split_of: Callable[[Path], str | None]) -> dict[str, list[Path]]:
    """Group files by the split that their names say; all are train if none says one."""
    splits = {path: split_of(path.relative_to(folder)) for path in paths}
    named = [split for split in SPLIT_NAMES if split in splits.values()]
    unnamed = [path for path, split in splits.items() if split is None]
    if named and unnamed:
        first, others = unnamed[0].relative_to(folder), len(unnamed) - 1
        raise InputError(
            f"--dataset {folder}: {first}{f' (and {others:,} more)' if others else ''} says no split, where "
            f"other files say theirs ({', '.join(named)}): rename it or its folder to one of them, or move it out"
        )
    groups: dict[str, list[Path]] = {}
    for path, split in splits.items():
        groups.setdefault(split or "train", []).append(path)
    return groups


def _split_of_parquet(path: Path) -> str | None:
    """Return the split that a file's name says, or else the nearest folder's; None if none does."""
    for name in (path.stem, *reversed(path.parts[:-1])):
        splits = splits_in(name)
        if len(splits) > 1:
            raise InputError(f"{path} names several splits, {' and '.join(splits)}: rename it to one of them")
        if splits:
            return splits[0]
    return None


def _split_of_image(path: Path) -> str | None:
    """Return the split that the outermost folder is named for; deeper folders are classes."""
    return usual_split(path.parts[0]) if len(path.parts) > 1 else None


def _parquet(paths: list[Path], split: str) -> datasets.Dataset:
    try:
        # Empty files among others are nothing wrong, but `datasets` refuses them.
        filled = [str(path) for path in paths if pq.read_metadata(path).num_rows]
        if filled:
            return datasets.load_dataset("parquet", data_files={split: filled}, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        cause = " ".join(str(error.__cause__ or error).split())[:200]
        more = f" or one of the {len(paths) - 1} other files of {split}" if len(paths) > 1 else ""
        raise InputError(f"{paths[0]}{more} cannot be read as Parquet ({cause})") from error
    raise InputError(f"{split} has no rows: remove {paths[0]}, or fill it")


def _image_folder(paths: list[Path], folder: Path) -> datasets.Dataset:
    classes = [_class_of(path, folder) for path in paths]
    table = datasets.Dataset.from_dict({"image": [str(path) for path in paths], "label": classes})
    return table.cast_column("image", datasets.Image())


def _class_of(path: Path, folder: Path) -> str:
    """Return the name of the first folder below the split's, or below the dataset's."""
    parts = path.relative_to(folder).parts[:-1]
    if parts and usual_split(parts[0]):
        parts = parts[1:]
    if not parts:
        raise InputError(
            f"{path} is not in the folder of a class: arrange the images as train/CLASS/*.png, or name their classes "
            "in a file metadata.csv with the columns file_name and label"
        )
    return parts[0]


def _warn_of_empty(files: dict[str, list[Path]], folder: Path) -> None:
    """Say which folders, where those of classes are, hold no images."""
    filled = {path.relative_to(folder).parts for paths in files.values() for path in paths}
    roots = {parts[:1] if usual_split(parts[0]) else () for parts in filled}
    full = {parts[: len(root) + 1] for root in roots for parts in filled if parts[: len(root)] == root}
    empty = [
        str(path.relative_to(folder))
        for root in sorted(roots)
        for path in sorted(Path(folder, *root).iterdir())
        if path.is_dir() and not path.name.startswith(".") and path.relative_to(folder).parts not in full
    ]
    if empty:
        more = ", …" if len(empty) > NAMED else ""
        say(f"warning: no images in {', '.join(empty[:NAMED])}{more} ({len(empty):,} folders): no classes there")


def _readable(found: Sequence[tuple[Path, str]], folder: Path) -> list[Path]:
    """Return the image files that can be read, and report those that cannot."""
    readable, left_out = [], []
    for path, fault in found:
        reason = fault or ("" if path.suffix.lower() in readable_suffixes() else f"{path.suffix.lower()} files")
        if reason:
            left_out.append((path, reason))
        else:
            readable.append(path)
    if left_out:
        counts = Counter(reason for _, reason in left_out)
        kinds = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        first = left_out[0][0].relative_to(folder)
        heic = any(path.suffix.lower() in HEIC_SUFFIXES for path, _ in left_out) and HEIC_SUFFIXES.isdisjoint(
            readable_suffixes()
        )
        remedy = "; pip install 'hf_cifar[heic]' reads .heic" if heic else ""
        say(f"warning: {len(left_out):,} images left out, which Pillow cannot read: {kinds} (first: {first}){remedy}")
    return readable


def _files(folder: Path, suffixes: Collection[str]) -> list[tuple[Path, str]]:
    """Return the files below a folder, sorted, with their faults.

    Raises:
        InputError: a folder cannot be read, or a name is not text.
    """
    found = sorted((Path(path), fault) for path, fault in files_below(str(folder), suffixes))
    for path, fault in found:
        if fault and not path.is_symlink():
            raise InputError(f"--dataset {folder}: {path} cannot be read ({fault})")
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"--dataset {folder}: the name {str(path)!r} is not valid UTF-8: rename it") from error
    return found

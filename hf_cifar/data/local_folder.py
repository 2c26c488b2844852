"""Datasets in a local folder: Parquet files, or images in a folder for each class."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import datasets
import pyarrow.parquet as pq

from hf_cifar.data.image_files import files_below, image_suffixes, readable_suffixes
from hf_cifar.data.split_names import SPLIT_NAMES, splits_in, usual_split
from hf_cifar.errors import InputError
from hf_cifar.utils.progress import say

PARQUET = ".parquet"


def read_folder(folder: Path) -> tuple[dict[str, datasets.Dataset], dict[str, list[Path]]]:
    """Open the splits of a folder of Parquet files, or else of images as SPLIT/CLASS/*.png or CLASS/*.png.

    A split is what names say: in the Hub's layouts, train-00000-of-00001.parquet and plain_text/train/0000.parquet.
    If no name says a split, everything is train; if some do, all must.

    Returns:
        The table of each split and the files that it was read from. An image folder has the columns `image` and
        `label`, a string.

    Raises:
        InputError: no images, a file that names no split beside files that do, an image outside a class's folder, or
            Parquet files that cannot be read.
    """
    found = _files(folder, image_suffixes() | {PARQUET})
    parquet = [path for path, fault in found if path.suffix.lower() == PARQUET and not fault]
    if parquet:
        files = _by_split(parquet, folder, _split_of_parquet)
        return {split: _parquet(paths, split) for split, paths in files.items()}, files
    files = _by_split(_readable(found, folder), folder, _split_of_image)
    if not files:
        raise InputError(f"--dataset {folder} holds no images: neither Parquet files nor train/CLASS/*.png")
    return {split: _image_folder(paths, folder) for split, paths in files.items()}, files


def is_parquet(files: dict[str, list[Path]]) -> bool:
    """Return whether the files of `read_folder` are Parquet files, and no images."""
    return any(path.suffix.lower() == PARQUET for paths in files.values() for path in paths)


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
        raise InputError(f"{path} is not in the folder of a class: arrange the images as train/CLASS/*.png")
    return parts[0]


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
        say(f"warning: {len(left_out):,} images left out, which Pillow cannot read: {kinds} (first: {first})")
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

"""Files that name images and their labels: metadata.csv, metadata.jsonl, labels.csv and their like."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from hf_cifar.data.columns import LABEL_NAMES
from hf_cifar.data.named_images import NamedImages
from hf_cifar.data.split_names import splits_in, usual_split
from hf_cifar.errors import InputError
from hf_cifar.utils.progress import say

METADATA = "metadata"  # how `datasets` calls such a file
STEMS = (METADATA, "labels", "annotations")
SUFFIXES = frozenset({".csv", ".tsv", ".jsonl"})
SPLIT_COLUMN = "split"
Row = dict[str, Any]


@dataclass(frozen=True)
class LabelFile:
    """A file with a row for each image.

    Attributes:
        path: of the file.
        rows: for each row its columns; text of CSV files is not converted yet.
        column: that names the image's file.
        images: for each row the image that it names.
    """

    path: Path
    rows: list[Row]
    column: str = ""
    images: list[Path] = field(default_factory=list)


def is_label_file(path: Path) -> bool:
    """Return whether a file is called as those are that name images: metadata.csv, labels.csv, train.csv."""
    stem, suffix = path.stem.lower(), path.suffix.lower()
    if suffix == ".parquet":
        return stem == METADATA
    return suffix in SUFFIXES and (stem in STEMS or usual_split(stem) is not None)


def read_label_files(
    paths: Sequence[Path], images: Sequence[Path], folder: Path, requested: str | None
) -> tuple[dict[str, datasets.Dataset], dict[str, list[Path]], str, str] | None:
    """Read the images of a folder with the columns that files beside them give.

    A row's image is named relative to the file, or to a folder `images` beside it. Its split is that of a column
    `split`, or else what the name of the file or of a folder says. Where no column is called as labels are, the
    folders of classes label the images, if there are any.

    Args:
        paths: for which `is_label_file` holds.
        images: all below the folder.
        folder: of the dataset.
        requested: the label column that was asked for.

    Returns:
        The table and the files of each split, what was read, in words, and the column that names files; None where
        no file names images.

    Raises:
        InputError: a file cannot be read, or names an image that is not there, outside of the folder, or twice.
    """
    _refuse_several(paths, folder)
    named = NamedImages(images, folder)
    files = [file for path in paths if (file := _matched(LabelFile(path, list(_read(path))), named)) is not None]
    if not files:
        return None
    used = Counter(image for file in files for image in file.images)
    if len(used) < sum(used.values()):
        twice = next(image for image, count in used.items() if count > 1)
        raise InputError(f"{files[0].path}: {twice.relative_to(folder)} is named by several rows: keep one")
    if len(used) < len(images):
        unnamed = next(image for image in images if image not in used)
        say(
            f"warning: {len(images) - len(used):,} images left out, which no row of {_names(files, folder)} names "
            f"(first: {unnamed.relative_to(folder)})"
        )
    rows = [row | {"image": str(image)} for file in files for row, image in zip(file.rows, file.images, strict=True)]
    splits = _splits(files, folder)
    columns = _columns(rows, files)
    described = _names(files, folder)
    if not any(name.lower() in LABEL_NAMES for name in columns) and requested in (None, "label"):
        classes = [_class_of(image, folder) for file in files for image in file.images]
        if all(classes) and len(set(classes)) > 1:
            columns["label"] = classes
            described += ", labels by the folders"
    return *_tables(columns, splits, files), described, files[0].column


def _matched(file: LabelFile, named: NamedImages) -> LabelFile | None:
    """Return a file with the column that names images, and these; None if it has none, and need not have one."""
    base = file.path.parent
    splits = splits_in(file.path.stem)
    columns = list(dict.fromkeys(name for row in file.rows for name in row))
    column = named.column(file.rows, columns, base, splits)
    if column is None:
        if file.path.stem.lower() == METADATA:
            raise InputError(
                f"{file.path} has no column file_name that names images (columns: {', '.join(columns) or 'none'})"
            )
        say(f"warning: {file.path} has no column that names image files ({', '.join(columns)}): it is not used")
        return None
    images = [
        named.find(row.get(column), base, splits, f"{file.path} row {number}")
        for number, row in enumerate(file.rows, start=1)
    ]
    return LabelFile(file.path, file.rows, column, images)


def _refuse_several(paths: Sequence[Path], folder: Path) -> None:
    """Refuse two files of one folder that both name its images."""
    for place in {path.parent for path in paths}:
        here = [path for path in paths if path.parent == place]
        kinds = Counter(usual_split(path.stem) for path in here)
        if max(kinds.values()) > 1 or (None in kinds and len(kinds) > 1):
            names = ", ".join(str(path.relative_to(folder)) for path in here)
            raise InputError(f"--dataset {folder}: several files could hold the labels ({names}): keep one of them")


def _read(path: Path) -> Iterator[Row]:
    try:
        if path.suffix.lower() == ".jsonl":
            yield from _json_lines(path)
        elif path.suffix.lower() == ".parquet":
            yield from pq.read_table(path).to_pylist()
        else:
            yield from _table(path)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({' '.join(str(error).split())[:150]})") from error


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path} line {number} is no JSON ({str(error)[:100]})") from error
            if not isinstance(row, dict):
                raise InputError(f"{path} line {number} is no JSON object: give one for each image")
            yield row


def _table(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        header = lines.readline()
        separator = max("\t,;", key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
        if len(set(names)) < len(names):
            raise InputError(f"{path} has several columns of one name: {', '.join(names)}")
        for number, cells in enumerate(csv.reader(lines, delimiter=separator), start=1):
            if not any(cells):
                continue
            if len(cells) != len(names):
                raise InputError(f"{path} row {number} has {len(cells)} cells, where the header has {len(names)}")
            yield {name: cell.strip() or None for name, cell in zip(names, cells, strict=True)}


def _splits(files: Sequence[LabelFile], folder: Path) -> list[str]:
    """Return the split of each row; all are train if nothing says one."""
    rows = [row for file in files for row in file.rows]
    by_column = [usual_split(str(row.get(SPLIT_COLUMN))) for row in rows]
    if not all(by_column):
        by_column = [_split_of(image, file, folder) for file in files for image in file.images]
    found = {split for split in by_column if split}
    if found and not all(by_column):
        row = by_column.index(None)
        image = [image for file in files for image in file.images][row].relative_to(folder)
        raise InputError(
            f"--dataset {folder}: nothing says the split of {image}, where other images have theirs "
            f"({', '.join(sorted(found))}): move it to a folder of a split, or fill a column {SPLIT_COLUMN!r}"
        )
    return [split or "train" for split in by_column]


def _split_of(image: Path, file: LabelFile, folder: Path) -> str | None:
    said = usual_split(file.path.stem)
    if said:
        return said
    return next((split for part in image.relative_to(folder).parts[:-1] if (split := usual_split(part))), None)


def _class_of(image: Path, folder: Path) -> str:
    parts = [part for part in image.relative_to(folder).parts[:-1] if not usual_split(part)]
    return parts[0] if parts else ""


def _columns(rows: list[Row], files: Sequence[LabelFile]) -> dict[str, list[Any]]:
    """Return the columns of all rows but those that name files and splits, each of one type."""
    left_out = {file.column for file in files} | {SPLIT_COLUMN, "image"}
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in left_out]
    columns: dict[str, list[Any]] = {"image": [row["image"] for row in rows]}
    for name in names:
        values = [row.get(name) for row in rows]
        if not any(isinstance(value, (list, dict)) for value in values):
            columns[name] = _typed(values)
    return columns


def _typed(values: list[Any]) -> list[Any]:
    """Return values as integers or numbers where all can be read so and written back, and else as text."""
    given = [value for value in values if value is not None]
    if all(isinstance(value, (bool, int)) for value in given) and len({type(value) for value in given}) < 2:
        return values
    texts = [None if value is None else str(value) for value in values]
    for kind in (int, float):
        try:
            numbers = [None if text is None else kind(text) for text in texts]
        except ValueError:
            continue
        # 007 and 1e5 are names of classes.
        if all(number is None or str(number) == text for number, text in zip(numbers, texts, strict=True)):
            whole = all(number is None or float(number).is_integer() for number in numbers)
            return [None if number is None else int(number) for number in numbers] if whole else numbers
    return texts


def _tables(
    columns: dict[str, list[Any]], splits: list[str], files: Sequence[LabelFile]
) -> tuple[dict[str, datasets.Dataset], dict[str, list[Path]]]:
    tables, sources = {}, {}
    features = _features(columns)
    for split in dict.fromkeys(splits):
        chosen = [row for row, name in enumerate(splits) if name == split]
        part = {name: [values[row] for row in chosen] for name, values in columns.items()}
        tables[split] = datasets.Dataset.from_dict(part, features=features).cast_column("image", datasets.Image())
        sources[split] = [file.path for file in files] + [Path(image) for image in part["image"]]
    return tables, sources


def _features(columns: dict[str, list[Any]]) -> datasets.Features:
    """Return one type for each column, the same in every split."""
    kinds = {bool: "bool", int: "int64", float: "float64"}
    return datasets.Features(
        {
            name: datasets.Value(kinds.get(type(next((value for value in values if value is not None), "")), "string"))
            for name, values in columns.items()
        }
    )


def _names(files: Sequence[LabelFile], folder: Path) -> str:
    return ", ".join(os.path.relpath(file.path, folder) for file in files[:3]) + (", …" if len(files) > 3 else "")

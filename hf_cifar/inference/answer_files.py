"""Files of predictions: CSV, JSON Lines and Parquet, written row by row so that memory does not grow with them."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hf_cifar.errors import InputError

DEFAULT_OUTPUT = "predictions.csv"
STANDARD_OUTPUT = "-"
SUFFIXES = (".csv", ".jsonl", ".parquet")
ROWS_OF_GROUP = 8_192  # of a Parquet file: what is held in memory

# Takes an image's path and its predictions, the most likely first.
WriteRow = Callable[[str, list[dict[str, Any]]], None]


def check_output(name: str | None, overwrite: bool) -> str:
    """The file that predictions go to.

    Args:
        name: of a .csv, .jsonl or .parquet file; - for standard output, as JSON Lines; None for predictions.csv.
        overwrite: an existing file may be replaced.

    Raises:
        InputError: another suffix, a file that exists, or a place where none can be written.
    """
    name = DEFAULT_OUTPUT if name is None else name
    if name == STANDARD_OUTPUT:
        return name
    path = Path(name).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--output {name}: the suffix says the format, one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"--output {name} is a folder: give a file")
    if path.exists() and not overwrite:
        raise InputError(f"--output {name} exists: choose another file, or replace it by --overwrite")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"--output {name}: nothing can be written in {parent}")
    return str(path)


@contextmanager
def open_answers(path: Path, kind: str, top_k: int) -> Iterator[WriteRow]:
    """Yield what writes one row an image to a new file.

    CSV and Parquet have the columns path, label_1, score_1, label_2, … up to `top_k`; a line of JSON Lines is
    {"image": path, "predictions": [{"label": …, "score": …}, …]}, the predictions as `pipeline` gives them.

    Args:
        path: of the file.
        kind: .csv, .jsonl or .parquet.
        top_k: labels of an image, the same for all.
    """
    if kind.lower() == ".parquet":
        with _open_parquet(path, top_k) as write:
            yield write
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind.lower() == ".jsonl":
            yield lambda image, predictions: _write_json(file, image, predictions)
            return
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_columns(top_k))
        yield lambda image, predictions: writer.writerow(_row(image, predictions))


@contextmanager
def answers_to_standard_output() -> Iterator[WriteRow]:
    """Yield what writes each image's JSON line to standard output, at once."""

    def write(image: str, predictions: list[dict[str, Any]]) -> None:
        _write_json(sys.stdout, image, predictions)
        sys.stdout.flush()

    yield write


@contextmanager
def _open_parquet(path: Path, top_k: int) -> Iterator[WriteRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"path": pa.string(), "label": pa.string(), "score": pa.float32()}
    schema = pa.schema([(name, types[name.partition("_")[0]]) for name in _columns(top_k)])
    rows: list[list[Any]] = []
    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema))
            rows.clear()

        def write(image: str, predictions: list[dict[str, Any]]) -> None:
            rows.append(_row(image, predictions))
            if len(rows) == ROWS_OF_GROUP:
                flush()

        yield write
        if rows:
            flush()


def _columns(top_k: int) -> list[str]:
    return ["path"] + [f"{name}_{number}" for number in range(1, top_k + 1) for name in ("label", "score")]


def _row(image: str, predictions: list[dict[str, Any]]) -> list[Any]:
    return [readable(image)] + [item[name] for item in predictions for name in ("label", "score")]


def _write_json(file: IO[str], image: str, predictions: list[dict[str, Any]]) -> None:
    print(json.dumps({"image": readable(image), "predictions": predictions}, ensure_ascii=False), file=file)


def readable(path: str) -> str:
    """A path as text that UTF-8 can hold; bytes of a file name that are none become �."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

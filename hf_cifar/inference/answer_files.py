"""Write predictions as CSV, JSON Lines or Parquet, row by row, so that memory does not grow with their number."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from hf_cifar.errors import InputError
from hf_cifar.run.ood_scores import OodAnswer
from hf_cifar.utils.files import csv_text, refuse_unwritable

DEFAULT_OUTPUT = "predictions.csv"
STANDARD_OUTPUT = "-"
SUFFIXES = (".csv", ".jsonl", ".parquet")
PAGE_SUFFIXES = (".html", ".htm")
ROWS_OF_GROUP = 8_192  # of a Parquet file; so many rows are held in memory

SET_COLUMN = "prediction_set"
OOD_COLUMNS = ("ood_score", "out_of_distribution")
Predictions = list[dict[str, Any]]


class WriteRow(Protocol):
    """Writes the answer for one image."""

    def __call__(
        self, image: str, predictions: Predictions, labels: list[str] | None = None, ood: OodAnswer | None = None
    ) -> None:
        """Write an image's path and its predictions, the most likely first.

        Args:
            image: its path.
            predictions: of it.
            labels: of its prediction set, if it has one.
            ood: how unlike those of training it is, if that was asked for.
        """


def check_page(name: str, overwrite: bool) -> Path:
    """Check the file that `--html` names, and return its path; raises as `check_output`."""
    path = Path(name).expanduser()
    if path.suffix.lower() not in PAGE_SUFFIXES:
        raise InputError(f"--html {name}: the name of a page ends in .html")
    _refuse_taken("--html", path, overwrite)
    return path


def check_output(name: str | None, overwrite: bool) -> str:
    """Check the file that predictions are to be written to, and return its path.

    Args:
        name: of a .csv, .jsonl or .parquet file; - for standard output, as JSON Lines; None for predictions.csv.
        overwrite: replace an existing file.

    Raises:
        InputError: the suffix is none of these, the file exists, or its folder cannot be made.
        PermissionError: its folder is read-only.
    """
    name = DEFAULT_OUTPUT if name is None else name
    if name == STANDARD_OUTPUT:
        return name
    path = Path(name).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--output {name}: the suffix selects the format, one of {', '.join(SUFFIXES)}")
    _refuse_taken("--output", path, overwrite)
    return str(path)


def _refuse_taken(option: str, path: Path, overwrite: bool) -> None:
    """Refuse a path at which no file can be written, or one is."""
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder: give a file")
    if path.exists() and not overwrite:
        raise InputError(f"{option} {path} exists: choose another file, or replace it with --overwrite")
    refuse_unwritable(option, path.parent)


@contextmanager
def open_answers(path: Path, kind: str, top_k: int, sets: bool = False, ood: bool = False) -> Iterator[WriteRow]:
    """Yield a function that writes one row for each image to a new file.

    CSV and Parquet have the columns path, label_1, score_1, label_2, … up to `top_k`; a line of JSON Lines is
    {"image": path, "predictions": [{"label": …, "score": …}, …]}, the predictions as `pipeline` gives them. Text in CSV
    is as `csv_text` makes it. Prediction sets are one more column, a list of labels (in CSV as JSON), or one more key;
    an out-of-distribution score is one more, with another that says whether it is above the threshold.

    Args:
        path: of the file.
        kind: .csv, .jsonl or .parquet.
        top_k: number of labels in every row.
        sets: there are prediction sets too.
        ood: there are out-of-distribution scores too.
    """
    if kind.lower() == ".parquet":
        with _open_parquet(path, _columns(top_k, sets, ood)) as write:
            yield write
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind.lower() == ".jsonl":

            def write_line(
                image: str, predictions: Predictions, labels: list[str] | None = None, ood: OodAnswer | None = None
            ) -> None:
                _write_json(file, image, predictions, labels, ood)

            yield write_line
            return
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_columns(top_k, sets, ood))

        def write_row(
            image: str, predictions: Predictions, labels: list[str] | None = None, ood: OodAnswer | None = None
        ) -> None:
            shown = None if labels is None else json.dumps(labels, ensure_ascii=False)
            writer.writerow(map(csv_text, _row(image, predictions, shown, ood)))

        yield write_row


@contextmanager
def answers_to_standard_output() -> Iterator[WriteRow]:
    """Yield a function that writes an image's JSON line to standard output and flushes it."""

    def write(
        image: str, predictions: Predictions, labels: list[str] | None = None, ood: OodAnswer | None = None
    ) -> None:
        _write_json(sys.stdout, image, predictions, labels, ood)
        sys.stdout.flush()

    yield write


@contextmanager
def _open_parquet(path: Path, columns: list[str]) -> Iterator[WriteRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"path": pa.string(), "label": pa.string(), "score": pa.float32(), "prediction": pa.list_(pa.string())}
    types |= {"ood": pa.float64(), "out": pa.bool_()}
    schema = pa.schema([(name, types[name.partition("_")[0]]) for name in columns])
    rows: list[list[Any]] = []
    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema))
            rows.clear()

        def write(
            image: str, predictions: Predictions, labels: list[str] | None = None, ood: OodAnswer | None = None
        ) -> None:
            rows.append(_row(image, predictions, labels, ood))
            if len(rows) == ROWS_OF_GROUP:
                flush()

        yield write
        if rows:
            flush()


def _columns(top_k: int, sets: bool, ood: bool) -> list[str]:
    ranked = [f"{name}_{rank}" for rank in range(1, top_k + 1) for name in ("label", "score")]
    return ["path", *ranked, *[SET_COLUMN] * sets, *(OOD_COLUMNS if ood else ())]


def _row(image: str, predictions: Predictions, labels: Any, ood: OodAnswer | None) -> list[Any]:
    row: list[Any] = [readable(image)] + [item[name] for item in predictions for name in ("label", "score")]
    return [*row, *([] if labels is None else [labels]), *_of_ood(ood).values()]


def _of_ood(ood: OodAnswer | None) -> dict[str, float | bool]:
    return {} if ood is None else dict(zip(OOD_COLUMNS, (ood.score, ood.is_out), strict=True))


def _write_json(
    file: IO[str], image: str, predictions: Predictions, labels: list[str] | None, ood: OodAnswer | None
) -> None:
    values: dict[str, Any] = {"image": readable(image), "predictions": predictions}
    if labels is not None:
        values[SET_COLUMN] = labels
    values |= _of_ood(ood)
    print(json.dumps(values, ensure_ascii=False), file=file)


def readable(path: str) -> str:
    """Return a path as valid UTF-8; bytes of a file name that are not become �."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

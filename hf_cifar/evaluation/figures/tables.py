"""What a stage left in tables, read to be drawn."""

import csv
from pathlib import Path
from typing import Any


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of `history.csv`, each with the columns that it has a number in; none if there is no such file."""
    return [{name: float(value) for name, value in row.items() if value} for row in _rows(path)]


def read_doubts(path: Path, limit: int) -> list[dict[str, Any]]:
    """The first rows of `mistakes.csv` or `label_errors.csv`; none if there is no such file.

    Returns:
        Of each `index` (row of the split), `label` and `prediction` (names), `label_probability`,
        `prediction_probability` and `loss`.
    """
    rows = []
    for row in _rows(path)[:limit]:
        probabilities = {name: float(row[name]) for name in ("label_probability", "prediction_probability", "loss")}
        rows.append({**row, "index": int(row["index"]), **probabilities})
    return rows


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))

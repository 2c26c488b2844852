"""The training history of a stage: `history.csv`."""

import csv
from collections.abc import Sequence
from pathlib import Path

# Columns are dynamic, such as `learning_rate/GROUP`; a row lacks those that are empty.
HistoryRow = dict[str, float]
History = Sequence[HistoryRow]


def read_history(path: Path) -> list[HistoryRow]:
    """Read `history.csv`, each row without its empty columns; none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]

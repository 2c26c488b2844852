"""The table of the optimizer's parameter groups, printed before training and saved with the run."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from hf_cifar.training.optimizer import ParameterGroup
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_csv
from hf_cifar.utils.progress import say
from hf_cifar.utils.table import Table


def report_groups(path: Path, groups: Sequence[ParameterGroup], first_epochs: Mapping[str, int]) -> None:
    """Print the parameter groups, and write them to a CSV file.

    Args:
        path: of the CSV file.
        groups: what the optimizer holds.
        first_epochs: for layer groups unfrozen later, the epoch from which they train, counted from 0.
    """
    rows = [
        {
            "group": group.name,
            "layers": " ".join(group.layers),
            "parameters": group.num_parameters,
            "learning_rate": group.learning_rate,
            "weight_decay": group.weight_decay,
            "trains_from_epoch": first_epochs.get(group.name, 0),
        }
        for group in groups
    ]
    if processes.is_main():
        write_csv(path, rows, list(rows[0]))
    say(_merged(rows).text())


def _merged(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table as it is printed: neighbours that train alike in a row, as `embedder to head`.

    Of a layer group, what is not decayed, its biases and normalisation layers, is with what is.
    """
    parts = [list(part) for _, part in groupby(rows, key=lambda row: row["group"])]
    alike = [list(some) for _, some in groupby(parts, key=_how)]
    has_later = any(row["trains_from_epoch"] for row in rows)
    columns = ["layers", "parameters", "learning rate", "weight decay", *(["from epoch"] if has_later else [])]
    table = []
    for some in alike:
        first, last = some[0][0], some[-1][0]
        name = first["group"] if len(some) == 1 else f"{first['group']} to {last['group']}"
        cells = [
            name,
            f"{sum(row['parameters'] for part in some for row in part):,}",
            f"{first['learning_rate']:.3g}",
            f"{max(row['weight_decay'] for row in some[0]):g}",
        ]
        table.append([*cells, *([str(first["trains_from_epoch"] + 1)] if has_later else [])])
    return Table(columns, table)


def _how(part: Sequence[Mapping[str, Any]]) -> tuple[float, float, int]:
    """Return how a layer group trains."""
    return (
        part[0]["learning_rate"],
        max(row["weight_decay"] for row in part),
        part[0]["trains_from_epoch"],
    )

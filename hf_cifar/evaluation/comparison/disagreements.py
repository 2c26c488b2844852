"""The images on which compared runs give different answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.evaluation.comparison.compared_run import ComparedRun, normalized
from hf_cifar.utils.files import csv_text, write_csv
from hf_cifar.utils.formatting import listed


@dataclass(frozen=True)
class Disagreements:
    """Images on which the same runs are right, and not all runs give the same answer.

    Attributes:
        title: which runs are right.
        positions: int [m], of the images in the runs' arrays; those where a wrong answer is surest first.
    """

    title: str
    positions: np.ndarray


def find_disagreements(runs: Sequence[ComparedRun]) -> list[Disagreements]:
    """Return the images on which runs disagree by who is right, the most frequent first; nobody's at the end.

    Args:
        runs: on the same images.
    """
    answers = np.stack([normalized(run.predictions) for run in runs])
    correct = np.stack([run.correct for run in runs])
    differing = np.flatnonzero((answers != answers[0]).any(axis=0))
    surest = np.where(correct, 0.0, np.stack([run.confidence for run in runs])).max(axis=0)
    groups: dict[tuple[bool, ...], list[int]] = {}
    for position in differing[np.argsort(-surest[differing], kind="stable")]:
        groups.setdefault(tuple(correct[:, position].tolist()), []).append(int(position))
    ordered = sorted(groups.items(), key=lambda item: (not any(item[0]), -len(item[1])))
    names = [run.name for run in runs]
    return [Disagreements(_title(names, right), np.array(positions)) for right, positions in ordered]


def _title(names: Sequence[str], right: Sequence[bool]) -> str:
    those = [name for name, is_right in zip(names, right, strict=True) if is_right]
    if not those:
        return "All are wrong, with different answers" if len(names) > 2 else "Both are wrong, with different answers"
    if len(those) == 1:
        return f"Only {those[0]} is right"
    return f"{listed(those)} are right"


def write_disagreements(path: Path, runs: Sequence[ComparedRun], groups: Sequence[Disagreements]) -> None:
    """Write every image on which runs disagree to a CSV file: what it can be found by, its label, and all answers."""
    names = [csv_text(run.name) for run in runs]
    columns = ["index", "file", "label", *(column for name in names for column in (name, f"{name} probability"))]
    rows: list[dict[str, Any]] = []
    for position in (position for group in groups for position in group.positions):
        row = {
            "index": int(runs[0].index[position]),
            "file": file_of(runs, position),
            "label": str(runs[0].labels[position]),
        }
        for name, run in zip(names, runs, strict=True):
            row[name] = str(run.predictions[position])
            row[f"{name} probability"] = round(float(run.confidence[position]), 6)
        rows.append(row)
    write_csv(path, rows, columns)


def file_of(runs: Sequence[ComparedRun], position: int) -> str:
    """Return what an image can be found by: as the first run that knows says, else its row."""
    known = next((run.files for run in runs if run.files is not None), None)
    return known[position] if known is not None else f"{runs[0].metrics.split}[{runs[0].index[position]}]"

"""The runs that are laid side by side: found, read, and refused where they cannot be compared.

Light on purpose: a request that cannot be met is refused before anything heavy is imported.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_cifar.data.label_names import plain
from hf_cifar.errors import InputError
from hf_cifar.run.stage_folder import METRICS_FILE, SPLITS_FILE, StageFolder

# A run is its last stage: what was fine-tuned came from the probe.
LAST_FIRST = ("finetune", "probe", "evaluate")


@dataclass(frozen=True)
class ComparedRun:
    """A stage that is done, with its answers to the test images.

    Attributes:
        name: run/stage, with as many folders in front as tell it from the others.
        folder: of the stage.
        metrics: the content of metrics.json.
        index: int64 [n], rows of the split, ascending.
        labels: str [n], the right class names, as the model calls them.
        correct: bool [n], whether the model is right.
        fingerprint: of the split that was measured; None where the run's files do not tell.
    """

    name: str
    folder: StageFolder
    metrics: dict[str, Any]
    index: np.ndarray
    labels: np.ndarray
    correct: np.ndarray
    fingerprint: str | None

    @property
    def dataset(self) -> dict[str, Any]:
        """What metrics.json says of the data."""
        return dict(self.metrics["dataset"])

    @property
    def split(self) -> str:
        """What the images that were measured are called."""
        return str(self.metrics.get("split", "test"))

    @property
    def model(self) -> str:
        """The saved model that gave the answers: a folder, or a Hub id."""
        return str(self.metrics.get("model_dir") or self.folder.model)

    @property
    def training(self) -> dict[str, Any]:
        """What is known of the training; an evaluated model may lie in the folder of the stage that trained it."""
        if "train" in self.metrics:
            return dict(self.metrics["train"])
        beside = StageFolder(Path(self.model).expanduser().parent).done()
        return dict(beside.get("train", {})) if beside else {}


def find_runs(arguments: Sequence[str]) -> list[ComparedRun]:
    """The runs that `--runs` names, all measured on the same images.

    Args:
        arguments: folders of runs, each of which stands for its last stage, or of stages.

    Raises:
        InputError: fewer than two, one twice, one that is not there or not done, or not of the same test images.
    """
    if len(arguments) < 2:
        raise InputError(f"--stage compare lays runs side by side: --runs names {len(arguments)}, give at least two")
    folders: list[Path] = []
    for argument in arguments:
        folder = _stage_of(argument).resolve()
        if folder in folders:
            raise InputError(f"--runs {argument}: {arguments[folders.index(folder)]} names the same stage already")
        folders.append(folder)
    runs = [_read(folder, name) for folder, name in zip(folders, _short_names(folders), strict=True)]
    for other in runs[1:]:
        _refuse_other_images(runs[0], other)
    return runs


def _stage_of(argument: str) -> Path:
    """The folder of the stage that an argument stands for, which is done."""
    path = Path(argument).expanduser()
    if not path.is_dir():
        raise InputError(f"--runs {argument}: no such folder")
    if (path / METRICS_FILE).is_file():
        return path
    stage = next((name for name in LAST_FIRST if (path / name).is_dir()), None)
    if stage is not None and (path / stage / METRICS_FILE).is_file():
        return path / stage
    if stage is None and path.name not in LAST_FIRST:
        raise InputError(f"--runs {argument} holds no run: give the folder of a run, or of one of its stages")
    done = [name for name in LAST_FIRST if (path / name / METRICS_FILE).is_file()]
    instead = f", or name {path / done[0]}" if done else ""
    raise InputError(f"--runs {argument}: {stage or path.name} is not done: finish it with --resume{instead}")


def _short_names(folders: Sequence[Path]) -> list[str]:
    """run/stage for each, or more of the path where that is needed to tell them apart."""
    depth = 2
    while True:
        names = ["/".join(folder.parts[1:][-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
        depth += 1


def _read(folder: Path, name: str) -> ComparedRun:
    stage = StageFolder(folder)
    try:
        metrics = json.loads(stage.metrics.read_text())
        table = pq.read_table(stage.predictions, columns=["index", "label", "prediction"])
        index, label, prediction = (table.column(at).to_numpy().astype(np.int64) for at in range(3))
        names = np.array(list(metrics["test"]["per_class"]))
        order = np.argsort(index, kind="stable")
        fingerprint = _fingerprint(folder, metrics)
        return ComparedRun(
            name, stage, metrics, index[order], names[label][order], (label == prediction)[order], fingerprint
        )
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise InputError(
            f"--runs {folder} cannot be read ({' '.join(str(error).split())[:200] or type(error).__name__}): "
            "run its stage again"
        ) from error


def _fingerprint(folder: Path, metrics: dict[str, Any]) -> str | None:
    """That of the very split that was measured; a training stage's metrics.json has only its training split's."""
    if "split" in metrics:
        return str(metrics["dataset"]["fingerprint"])
    file = folder.parent / SPLITS_FILE
    splits = json.loads(file.read_text()) if file.is_file() else {}
    return splits["test"]["fingerprint"] if "fingerprint" in splits.get("test", {}) else None


def _refuse_other_images(one: ComparedRun, other: ComparedRun) -> None:
    """Accuracies on different images say nothing of the models."""
    fault = _difference(one, other)
    if fault:
        raise InputError(
            f"{one.name} and {other.name} were not tested on the same images: {fault}; "
            "measure both on one dataset by --stage evaluate"
        )


def _difference(one: ComparedRun, other: ComparedRun) -> str | None:
    """How the test images of two runs differ; None where they do not."""
    marks = [one.fingerprint, other.fingerprint]
    if None in marks and not any("split" in run.metrics for run in (one, other)):
        # Both came from training: the split that they trained on tells the dataset.
        marks = [run.dataset["fingerprint"] for run in (one, other)]
    if None in marks:
        name = (one, other)[marks.index(None)].name
        return f"nothing says which those of {name} are, as its run has no {SPLITS_FILE}"
    ids = [f"{run.dataset['id']} ({mark})" for run, mark in zip((one, other), marks, strict=True)]
    if marks[0] != marks[1] and one.dataset["id"] == other.dataset["id"]:
        return (
            f"{' and '.join(ids)} are called the same, but names, sizes or times of the files, or the revision, differ"
        )
    if marks[0] != marks[1]:
        return f"the datasets are {' and '.join(ids)}"
    if not np.array_equal(one.index, other.index):
        same = len(np.intersect1d(one.index, other.index))
        return (
            f"{len(one.index):,} and {len(other.index):,} images, {same:,} of them in both "
            "(--max-eval-samples chooses by --seed)"
        )
    wrong = np.flatnonzero(_plain(one.labels) != _plain(other.labels))
    if len(wrong):
        at = wrong[0]
        return (
            f"{len(wrong):,} of {len(one.labels):,} images have other labels, such as image {one.index[at]}, which is "
            f"{one.labels[at]} in the one and {other.labels[at]} in the other"
        )
    return None


def _plain(labels: np.ndarray) -> np.ndarray:
    """Class names as they are matched to a model's: case, spaces and punctuation do not count."""
    names, places = np.unique(labels, return_inverse=True)
    return np.array([plain(name) for name in names.tolist()])[places]

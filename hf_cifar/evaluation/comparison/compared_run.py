"""Find and read the runs of a comparison, and refuse those that cannot be compared.

Light on purpose: a wrong request is refused before anything heavy is imported.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_cifar.data.label_names import plain
from hf_cifar.errors import InputError
from hf_cifar.run.stage_folder import METRICS_FILE, SPLITS_FILE, StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.train_summary import TrainSummary

# A run stands for its last stage.
STAGES_LAST_FIRST = ("finetune", "probe", "evaluate")


@dataclass(frozen=True)
class ComparedRun:
    """A finished stage with its predictions on the test images.

    Attributes:
        name: run/stage, with as many parent folders as tell it from the others.
        folder: of the stage.
        metrics: of the stage.
        index: int64 [n], rows of the split, ascending.
        labels: str [n], the class names of the labels, as the model spells them.
        predictions: str [n], the class names of the predictions.
        confidence: float32 [n], the probability of the prediction.
        correct: bool [n], whether the prediction is the label.
        files: what each image can be found by; None where an older version did not write it.
        fingerprint: of the evaluated split; None where the run's files do not tell.
    """

    name: str
    folder: StageFolder
    metrics: StageMetrics
    index: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    files: list[str] | None
    fingerprint: str | None

    @property
    def is_evaluation(self) -> bool:
        """Return whether it is of the evaluate stage, whose metrics hold the fingerprint of the evaluated split."""
        return self.metrics.stage == "evaluate"

    @property
    def model(self) -> str:
        """Return the saved model that made the predictions: a folder, or a Hub id."""
        return self.metrics.model_dir or str(self.folder.model)

    @property
    def training(self) -> TrainSummary | None:
        """Return how the model was trained; of an evaluated model, from the stage whose folder it is in, if any."""
        if self.metrics.train is not None:
            return self.metrics.train
        trained = StageFolder(Path(self.model).expanduser().parent).read_metrics()
        return trained.train if trained else None


def find_runs(arguments: Sequence[str]) -> list[ComparedRun]:
    """Read the runs that `--runs` names, all evaluated on the same images.

    Args:
        arguments: folders of runs, each of which stands for its last stage, or of stages.

    Raises:
        InputError: fewer than two runs, a duplicate, a missing or unfinished run, or different test images.
    """
    if len(arguments) < 2:
        raise InputError(f"--stage compare needs at least two runs: --runs names {len(arguments)}")
    folders: list[Path] = []
    for argument in arguments:
        folder = _stage_of(argument).resolve()
        if folder in folders:
            raise InputError(f"--runs {argument}: {arguments[folders.index(folder)]} is the same stage")
        folders.append(folder)
    runs = [_read(folder, name) for folder, name in zip(folders, _short_names(folders), strict=True)]
    for other in runs[1:]:
        _refuse_other_images(runs[0], other)
    return runs


def _stage_of(argument: str) -> Path:
    """Return the folder of the finished stage that an argument stands for."""
    path = Path(argument).expanduser()
    if not path.is_dir():
        raise InputError(f"--runs {argument}: no such folder")
    if (path / METRICS_FILE).is_file():
        return path
    stage = next((name for name in STAGES_LAST_FIRST if (path / name).is_dir()), None)
    if stage is not None and (path / stage / METRICS_FILE).is_file():
        return path / stage
    if stage is None and path.name not in STAGES_LAST_FIRST:
        raise InputError(f"--runs {argument} is not a run: give the folder of a run, or of one of its stages")
    done = [name for name in STAGES_LAST_FIRST if (path / name / METRICS_FILE).is_file()]
    alternative = f", or give {path / done[0]}" if done else ""
    raise InputError(f"--runs {argument}: {stage or path.name} is not finished: finish it with --resume{alternative}")


def _short_names(folders: Sequence[Path]) -> list[str]:
    """Return run/stage for each, or more of the path where names would collide."""
    depth = 2
    while True:
        names = ["/".join(folder.parts[1:][-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
        depth += 1


def _read(folder: Path, name: str) -> ComparedRun:
    stage = StageFolder(folder)
    try:
        metrics = StageMetrics.read(stage.metrics)
        table = pq.read_table(stage.predictions)
        order = np.argsort(table.column("index").to_numpy(), kind="stable")
        table = table.take(pa.array(order))
        index, label, prediction = (
            table.column(name).to_numpy().astype(np.int64) for name in ("index", "label", "prediction")
        )
        names = np.array(metrics.test.label_names)
        probabilities = table.column("probabilities").combine_chunks().flatten().to_numpy().reshape(len(index), -1)
        return ComparedRun(
            name=name,
            folder=stage,
            metrics=metrics,
            index=index,
            labels=names[label],
            predictions=names[prediction],
            confidence=probabilities[np.arange(len(index)), prediction],
            correct=label == prediction,
            files=table.column("file").to_pylist() if "file" in table.column_names else None,
            fingerprint=_fingerprint(folder, metrics),
        )
    except (InputError, OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise InputError(
            f"--runs {folder} cannot be read ({' '.join(str(error).split())[:200] or type(error).__name__}): "
            "run its stage again"
        ) from error


def _fingerprint(folder: Path, metrics: StageMetrics) -> str | None:
    """Return that of the evaluated split; the metrics of a training stage have only that of its training split."""
    if metrics.stage == "evaluate":
        return metrics.dataset.fingerprint
    file = folder.parent / SPLITS_FILE
    splits = json.loads(file.read_text()) if file.is_file() else {}
    return splits["test"]["fingerprint"] if "fingerprint" in splits.get("test", {}) else None


def _refuse_other_images(first: ComparedRun, second: ComparedRun) -> None:
    """Refuse runs that were evaluated on different images: their accuracies are not comparable."""
    difference = _difference(first, second)
    if difference:
        raise InputError(
            f"{first.name} and {second.name} were not tested on the same images: {difference}; "
            "evaluate both on one dataset with --stage evaluate"
        )


def _difference(first: ComparedRun, second: ComparedRun) -> str | None:
    """Return how the test images of two runs differ; None where they do not."""
    runs = (first, second)
    fingerprints = [run.fingerprint for run in runs]
    if None in fingerprints and not any(run.is_evaluation for run in runs):
        # Both come from training: the fingerprint of the training split identifies the dataset.
        fingerprints = [run.metrics.dataset.fingerprint for run in runs]
    if None in fingerprints:
        name = runs[fingerprints.index(None)].name
        return f"the test images of {name} are unknown, since its run has no {SPLITS_FILE}"
    if fingerprints[0] != fingerprints[1]:
        return _different_datasets(first.metrics.dataset.id, second.metrics.dataset.id, fingerprints)
    if not np.array_equal(first.index, second.index):
        num_shared = len(np.intersect1d(first.index, second.index))
        return (
            f"{len(first.index):,} and {len(second.index):,} images, {num_shared:,} of them in both "
            "(--max-eval-samples draws by --seed)"
        )
    different = np.flatnonzero(normalized(first.labels) != normalized(second.labels))
    if len(different):
        row = different[0]
        return (
            f"{len(different):,} of {len(first.labels):,} images have different labels, such as image "
            f"{first.index[row]}: {first.labels[row]} in the first, {second.labels[row]} in the second"
        )
    return None


def _different_datasets(first: str, second: str, fingerprints: Sequence[str | None]) -> str:
    named = f"{first} ({fingerprints[0]}) and {second} ({fingerprints[1]})"
    if first != second:
        return f"the datasets are {named}"
    return f"{named} have the same name, but names, sizes or times of the files, or the revision, differ"


def normalized(labels: np.ndarray) -> np.ndarray:
    """Return class names as they are matched to a model's: case, spaces and punctuation do not count."""
    names, indices = np.unique(labels, return_inverse=True)
    return np.array([plain(name) for name in names.tolist()])[indices]

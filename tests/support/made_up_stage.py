"""A stage's folder with made-up predictions, complete to the last file; its metrics by scikit-learn and plain loops."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_recall_fscore_support

from hf_cifar.data.images import LabeledImages
from hf_cifar.evaluation.image_table import COLUMNS, ImageRow
from hf_cifar.run.origins import SplitKind, SplitOrigin, StartKind, StartOrigin, WeightsKind, WeightsOrigin
from hf_cifar.run.split_metrics import ClassMetrics, ConfusedPair, ReliabilityBin, SplitMetrics
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import DatasetInfo, Hardware, Robustness, StageMetrics
from hf_cifar.run.train_summary import Augmentation, Chosen, FinetuneSummary, ProbeSummary


def bins_of(probabilities: np.ndarray, labels: np.ndarray) -> list[ReliabilityBin]:
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = []
    for index in range(15):
        low, high = index / 15, (index + 1) / 15
        inside = (confidence > low) & (confidence <= high)
        means = [float(values[inside].mean()) if inside.any() else None for values in (confidence, correct)]
        bins.append(ReliabilityBin(low, high, int(inside.sum()), *means))
    return bins


def ece_of(bins: list[ReliabilityBin]) -> float:
    filled = [entry for entry in bins if entry.count]
    total = sum(entry.count for entry in filled)
    return sum(entry.count * abs(entry.confidence - entry.accuracy) for entry in filled) / total


def split_metrics_of(
    logits: np.ndarray, labels: np.ndarray, names: Sequence[str], temperature: float | None = None
) -> SplitMetrics:
    """The metrics of a split."""
    indices, probabilities = list(range(len(names))), softmax(logits, axis=1)
    predictions = logits.argmax(axis=1)
    scores = precision_recall_fscore_support(labels, predictions, labels=indices, zero_division=0)
    matrix = confusion_matrix(labels, predictions, labels=indices)
    pairs = [
        ConfusedPair(
            names[row], names[column], int(matrix[row, column]), float(matrix[row, column] / matrix[row].sum())
        )
        for row in indices
        for column in indices
        if row != column and matrix[row, column]
    ]
    accuracy = float(accuracy_score(labels, predictions))
    scaled = None if temperature is None else softmax(logits / temperature, axis=1)
    bins = bins_of(probabilities, labels)
    bins_scaled = None if scaled is None else bins_of(scaled, labels)
    return SplitMetrics(
        num_examples=len(labels),
        accuracy=accuracy,
        accuracy_ci95=(max(0.0, accuracy - 0.01), min(1.0, accuracy + 0.01)),
        f1_macro=float(f1_score(labels, predictions, average="macro", zero_division=0)),
        f1_macro_present=float(scores[2][scores[3] > 0].mean()),
        top5_accuracy=float(np.mean([label in row.argsort()[-5:] for row, label in zip(logits, labels, strict=True)])),
        temperature=temperature,
        nll=float(log_loss(labels, probabilities, labels=indices)),
        ece=ece_of(bins),
        nll_calibrated=None if scaled is None else float(log_loss(labels, scaled, labels=indices)),
        ece_calibrated=None if bins_scaled is None else ece_of(bins_scaled),
        reliability=bins,
        reliability_calibrated=bins_scaled,
        per_class={
            name: ClassMetrics(*(float(column[index]) for column in scores[:3]), int(scores[3][index]))
            for index, name in enumerate(names)
        },
        confusion_matrix=matrix.tolist(),
        confused_pairs=sorted(pairs, key=lambda pair: -pair.count),
    )


def made_up(count: int = 300, classes: int = 4, strength: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are correct more often the stronger, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return rng.normal(0, 1.5, (count, classes)) + strength * np.eye(classes)[labels], labels


def images_of(pictures: list[Image.Image], labels: np.ndarray) -> LabeledImages:
    """A test split of these pictures."""
    cells = []
    for picture in pictures:
        content = io.BytesIO()
        picture.save(content, "PNG")
        cells.append({"bytes": content.getvalue(), "path": None})
    rows = datasets.Dataset.from_dict(
        {"image": cells}, features=datasets.Features({"image": datasets.Image(decode=False)})
    )
    return LabeledImages("test", rows, labels, np.arange(len(labels)), "0", "test")


def history_of(epochs: int = 4) -> list[dict[str, float]]:
    return [
        {
            "epoch": float(epoch),
            "step": epoch * 10,
            "loss": 2 / epoch,
            "learning_rate/stem": 0.01 / epoch,
            "learning_rate/head": 0.1 / epoch,
            "validation_accuracy": 1 - 0.5 / epoch,
            "validation_f1_macro": 0.9 - 0.5 / epoch,
            "validation_nll": 1.5 / epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


def heads_of(epochs: int = 3, rates: tuple[str, ...] = ("0.1", "0.3", "1")) -> list[dict[str, float]]:
    """The history of a probe's grid of heads."""
    return [
        {
            "epoch": float(epoch),
            "step": epoch * 10,
            "loss": 2 / epoch,
            **{f"learning_rate/{rate}": float(rate) / epoch for rate in rates},
            "validation_accuracy": 1 - 0.2 / epoch,
            **{f"validation_accuracy/{rate}": 1 - 0.2 * (index + 1) / epoch for index, rate in enumerate(rates)},
            "validation_nll": 1.5 / epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


ROBUSTNESS = Robustness(
    num_examples=200,
    seed=0,
    clean_accuracy=0.8125,
    mean_corruption_accuracy=0.55,
    corruptions={
        "gaussian_noise": [0.8, 0.7, 0.6, 0.5, 0.4],
        "fog": [0.75, 0.6, 0.45, 0.3, 0.15],
        "jpeg": [0.81, 0.8, 0.79, 0.78, 0.77],
    },
)
SPLITS = {
    "train": SplitOrigin(SplitKind.REST, "train"),
    "validation": SplitOrigin(SplitKind.HELD_OUT, "train", fraction=0.1, seed=7),
    "test": SplitOrigin(SplitKind.PUBLISHED, "test"),
}
TRAINED = {
    "epochs": 4.0,
    "seconds": 813.9,
    "images_per_second": 1234.5,
    "trainable_parameters": 11181642,
    "total_parameters": 11181642,
    "processes": 1,
    "peak_memory_mb": 1403.19,
}
PROBE = ProbeSummary(
    augmentation=Augmentation(),
    chosen=Chosen(learning_rate=0.3),
    solver="trainer",
    features="cached",
    feature_seconds=12.5,
    head_seconds=3.25,
    images_through_backbone={"train": 12345, "validation": 678, "test": 0},
    **TRAINED,
)
FINETUNE = FinetuneSummary(
    augmentation=Augmentation("standard", mixup=0.2),
    chosen=Chosen(epoch=3.0, step=30, metric="accuracy", value=0.87659),
    start=StartOrigin(StartKind.PROBE),
    unfreeze="all",
    bn="eval",
    optimizer="sgd",
    learning_rate=0.05,
    scheduler="cosine",
    training_seconds=759.85,
    **TRAINED,
)


@dataclass
class MadeUpStage:
    """A folder as a stage leaves it before its figures are drawn, and the images that it was measured on."""

    folder: StageFolder
    metrics: StageMetrics
    images: LabeledImages
    logits: np.ndarray = field(repr=False)


def write_table(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...] | None = None) -> None:
    names = columns or tuple(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, names)
        writer.writeheader()
        writer.writerows(rows)


def make_stage(
    path: Path,
    stage: str = "finetune",
    names: tuple[str, ...] = ("ape", "bee", "cat", "dog"),
    size: int = 16,
    count: int = 300,
    strength: float = 3.0,
    temperature: float | None = 1.25,
    **changes: Any,
) -> MadeUpStage:
    """Everything that a stage writes but `report.html` and its figures, into `path / stage`."""
    folder = StageFolder(path / stage)
    folder.path.mkdir(parents=True)
    logits, labels = made_up(count, len(names), strength)
    rng = np.random.default_rng(1)
    pictures = [Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)) for _ in labels]
    probabilities, predictions = softmax(logits, axis=1), logits.argmax(axis=1)
    losses = -np.log(probabilities[np.arange(count), labels])
    rows = [
        asdict(
            ImageRow(
                index=int(position),
                label=names[labels[position]],
                prediction=names[predictions[position]],
                label_probability=float(probabilities[position, labels[position]]),
                prediction_probability=float(probabilities[position].max()),
                loss=float(losses[position]),
            )
        )
        for position in np.argsort(-losses)
        if labels[position] != predictions[position]
    ]
    write_table(folder.mistakes, rows, COLUMNS)
    write_table(folder.label_errors, rows[: len(rows) // 3], COLUMNS)
    if stage != "evaluate":
        write_table(folder.history, heads_of() if stage == "probe" else history_of())
        (path / "run.yaml").write_text("stage: lpft\n")
    metrics = replace(metrics_of(stage, split_metrics_of(logits, labels, names, temperature)), **changes)
    metrics.write(folder.metrics)
    return MadeUpStage(folder, metrics, images_of(pictures, labels), logits)


def metrics_of(stage: str, test: SplitMetrics) -> StageMetrics:
    """The metrics of a stage around those of its test split."""
    data = DatasetInfo(id="made/up", kind="hub", fingerprint="c98630a3", num_test=test.num_examples, splits=SPLITS)
    common = {"seed": 7, "test": test, "versions": {"python": "3.11.7", "torch": "2.14.1"}}
    if stage == "evaluate":
        data = replace(data, revision="abc", splits={"test": SPLITS["test"]})
        return StageMetrics(
            stage=stage, model="runs/x/finetune/model", model_dir="runs/x/finetune/model", split="held-out",
            dataset=data, seconds=12.0, **common,
        )  # fmt: skip
    return StageMetrics(
        stage=stage,
        model="resnet18 weights from somewhere",
        weights=WeightsOrigin(WeightsKind.FILE, "resnet18", "somewhere"),
        dataset=replace(
            data, num_train=12345, num_validation=678, num_corrupt={"train": 2, "validation": 0, "test": 0}
        ),
        validation=replace(test, accuracy=0.123456, accuracy_ci95=(0.1111, 0.1333)),
        train=PROBE if stage == "probe" else FINETUNE,
        hardware=Hardware("cpu", "Some CPU", 2),
        **common,
    )

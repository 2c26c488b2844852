"""A stage's folder with made-up predictions, complete to the last file; its figures by scikit-learn and plain loops."""

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

from hf_cifar.data.images import LabeledImages
from hf_cifar.run.stage_folder import StageFolder

COLUMNS = ("index", "label", "prediction", "label_probability", "prediction_probability", "loss")


def bins_of(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    found = []
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        here = (confidence > low) & (confidence <= high)
        found.append(
            {
                "low": low,
                "high": high,
                "count": int(here.sum()),
                "confidence": float(confidence[here].mean()) if here.any() else None,
                "accuracy": float(right[here].mean()) if here.any() else None,
            }
        )
    return found


def ece_of(bins: list[dict[str, Any]]) -> float:
    filled = [entry for entry in bins if entry["count"]]
    total = sum(entry["count"] for entry in filled)
    return sum(entry["count"] * abs(entry["confidence"] - entry["accuracy"]) for entry in filled) / total


def section_of(
    logits: np.ndarray, labels: np.ndarray, names: list[str], temperature: float | None = None
) -> dict[str, Any]:
    """The section of a split in metrics.json."""
    numbers, probabilities = list(range(len(names))), softmax(logits, axis=1)
    guesses = logits.argmax(axis=1)
    scores = precision_recall_fscore_support(labels, guesses, labels=numbers, zero_division=0)
    matrix = confusion_matrix(labels, guesses, labels=numbers)
    pairs = [
        {
            "label": names[row],
            "prediction": names[column],
            "count": int(matrix[row, column]),
            "share": float(matrix[row, column] / matrix[row].sum()),
        }
        for row in numbers
        for column in numbers
        if row != column and matrix[row, column]
    ]
    accuracy = accuracy_score(labels, guesses)
    section = {
        "num_examples": len(labels),
        "accuracy": float(accuracy),
        "accuracy_ci95": [max(0.0, float(accuracy) - 0.01), min(1.0, float(accuracy) + 0.01)],
        "f1_macro": float(scores[2].mean()),
        "top5_accuracy": float(
            np.mean([label in row.argsort()[-5:] for row, label in zip(logits, labels, strict=True)])
        ),
        "nll": float(log_loss(labels, probabilities, labels=numbers)),
        "reliability": bins_of(probabilities, labels),
        "per_class": {
            name: {
                "precision": float(scores[0][number]),
                "recall": float(scores[1][number]),
                "f1": float(scores[2][number]),
                "num_examples": int(scores[3][number]),
            }
            for number, name in enumerate(names)
        },
        "confusion_matrix": matrix.tolist(),
        "confused_pairs": sorted(pairs, key=lambda pair: -pair["count"]),
        **dict.fromkeys(("temperature", "nll_calibrated", "ece_calibrated", "reliability_calibrated")),
    }
    section["ece"] = ece_of(section["reliability"])
    if temperature is not None:
        cooled = softmax(logits / temperature, axis=1)
        section["temperature"] = temperature
        section["nll_calibrated"] = float(log_loss(labels, cooled, labels=numbers))
        section["reliability_calibrated"] = bins_of(cooled, labels)
        section["ece_calibrated"] = ece_of(section["reliability_calibrated"])
    return section


def made_up(count: int = 300, classes: int = 4, strength: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right more often the stronger, and labels."""
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
            **{f"validation_accuracy/{rate}": 1 - 0.2 * (place + 1) / epoch for place, rate in enumerate(rates)},
            "validation_nll": 1.5 / epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


ROBUSTNESS = {
    "num_examples": 200,
    "clean_accuracy": 0.8125,
    "mean_corruption_accuracy": 0.55,
    "seed": 0,
    "corruptions": {
        "gaussian_noise": [0.8, 0.7, 0.6, 0.5, 0.4],
        "fog": [0.75, 0.6, 0.45, 0.3, 0.15],
        "jpeg": [0.81, 0.8, 0.79, 0.78, 0.77],
    },
}


@dataclass
class MadeUpStage:
    """A folder as a stage leaves it before its figures are drawn, and the images that it was measured on."""

    folder: StageFolder
    metrics: dict[str, Any]
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
    probabilities, guesses = softmax(logits, axis=1), logits.argmax(axis=1)
    losses = -np.log(probabilities[np.arange(count), labels])
    rows = [
        {
            "index": int(place),
            "label": names[labels[place]],
            "prediction": names[guesses[place]],
            "label_probability": float(probabilities[place, labels[place]]),
            "prediction_probability": float(probabilities[place].max()),
            "loss": float(losses[place]),
        }
        for place in np.argsort(-losses)
        if labels[place] != guesses[place]
    ]
    write_table(folder.mistakes, rows, COLUMNS)
    write_table(folder.label_errors, rows[: len(rows) // 3], COLUMNS)
    if stage != "evaluate":
        write_table(folder.history, heads_of() if stage == "probe" else history_of())
        (path / "run.yaml").write_text("stage: lpft\n")
    metrics = metrics_of(stage, section_of(logits, labels, list(names), temperature), changes)
    folder.metrics.write_text(json.dumps(metrics))
    return MadeUpStage(folder, metrics, images_of(pictures, labels), logits)


def metrics_of(stage: str, test: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    count = test["num_examples"]
    metrics = {
        "stage": stage,
        "model": "resnet18 weights from somewhere",
        "base_model": None,
        "seed": 7,
        "dataset": {
            "id": "made/up",
            "revision": None,
            "fingerprint": "c98630a3",
            "num_train": 12345,
            "num_validation": 678,
            "num_test": count,
            "num_corrupt": {"train": 2, "validation": 0, "test": 0},
            "splits": {"test": "the source's test split", "train": "the rest of train", "validation": "10% of train"},
        },
        "test": test,
        "validation": {**test, "accuracy": 0.123456, "accuracy_ci95": [0.1111, 0.1333]},
        "train": {
            "solver": "trainer",
            "augmentation": {"augment": "standard", "mixup": 0.2, "erasing": None},
            "chosen": {"learning_rate": 0.3} if stage == "probe" else {"epoch": 3.0, "step": 30},
            "epochs": 4.0,
            "training_seconds": 759.85,
            "peak_memory_mb": 1403.19,
            "trainable_parameters": 11181642,
            "full_determinism": True,
            "seconds": 813.9,
        },
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
    }
    if stage == "evaluate":
        del metrics["validation"], metrics["train"]
        metrics |= {"split": "held-out", "model_dir": "runs/x/finetune/model"}
        metrics["dataset"] = {"id": "made/up", "revision": "abc", "fingerprint": "c98630a3", "num_test": count}
    return metrics | changes

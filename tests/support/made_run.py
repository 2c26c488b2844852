"""Runs as a training leaves them, made in a moment: the files that a card is made from, with numbers of our own."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from hf_cifar.config.run_config import RunConfig, nested

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
RESNET18 = {
    "architectures": ["ResNetForImageClassification"],
    "model_type": "resnet",
    "layer_type": "basic",
    "depths": [2, 2, 2, 2],
    "hidden_sizes": [64, 128, 256, 512],
}
PROCESSOR = {
    "do_resize": True,
    "size": {"height": 64, "width": 64},
    "resample": 2,
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
TEST = {"accuracy": 0.70575, "accuracy_ci95": [0.69669, 0.71455], "f1_macro": 0.70241, "top5_accuracy": 0.98041}
TEST |= {"nll": 0.82542, "ece": 0.04464}
CALIBRATED = {"temperature": 1.13844, "nll_calibrated": 0.81828, "ece_calibrated": 0.01617}


def make_run(
    folder: Path,
    names=tuple(CIFAR10),
    stages=("probe", "finetune"),
    dataset_id="uoft-cs/cifar10",
    revision="0b2714987fa478483af9968de7c934580d0bb9a2",
    origin="torchvision resnet18, IMAGENET1K_V1",
    base_model="timm/resnet18.tv_in1k",
    calibrated=True,
    robustness=False,
    examples=3,
    model_config=RESNET18,
    splits=None,
    **flags,
) -> Path:
    """A run with these stages and classes; `flags` are fields of its configuration."""
    stage = "lpft" if len(stages) == 2 else stages[0]
    defaults = {"stage": stage, "dataset": "cifar10", "model": "resnet18", "output_dir": str(folder)}
    config = RunConfig.build(nested({**defaults, **flags}))
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.safe_dump({**config.to_dict(), "provenance": {"backbone": origin}}))
    parts = {name: {"split": name, "fingerprint": "f", "rows": [0, 1]} for name in ("train", "validation", "test")}
    (folder / "splits.json").write_text(json.dumps(parts))
    places = {"train": "the rest of train", "validation": "10% of train, held out by seed 0"}
    places |= {"test": "the source's test split", **(splits or {})}
    for number, name in enumerate(stages):
        section = {"num_examples": 10_000, **TEST, **(CALIBRATED if calibrated else dict.fromkeys(CALIBRATED))}
        section["accuracy"] -= 0.12 * (name == "probe")
        section["per_class"] = {
            each: {"precision": 0.8, "recall": 0.7, "f1": 0.75 - 0.001 * place, "num_examples": 10_000 // len(names)}
            for place, each in enumerate(names)
        }
        section["confused_pairs"] = [{"label": names[-1], "prediction": names[0], "count": 279, "share": 0.279}]
        section["reliability"] = [
            {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
            {"low": 0.5, "high": 1.0, "count": 10_000, "confidence": 0.75, "accuracy": 0.70575},
        ]
        metrics = {
            "stage": name,
            "model": origin,
            "base_model": base_model,
            "seed": config.seed,
            "dataset": {
                "id": dataset_id,
                "revision": revision,
                "num_train": 45_000,
                "num_validation": 5_000,
                "num_test": 10_000,
                "num_corrupt": {"train": 0, "validation": 0, "test": 0},
                "splits": places,
            },
            "test": section,
            "validation": {**section, "num_examples": 5_000},
            "train": _train(config, name, folder),
            "versions": {"python": "3.11.7", "torch": "2.14.1"},
        }
        if robustness:
            metrics["robustness"] = {"num_examples": 2000, "clean_accuracy": 0.7, "mean_corruption_accuracy": 0.51239}
            metrics["robustness"] |= {"seed": 0, "corruptions": {"gaussian_noise": [0.6, 0.5, 0.4, 0.3, 0.2]}}
        _stage(folder / name, names, metrics, examples, model_config, seed=number)
    return folder


def _train(config: RunConfig, stage: str, folder: Path) -> dict:
    shared = {"processes": 1, "peak_memory_mb": 1108.9, "total_parameters": 11_181_642, "seconds": 814.0}
    if stage == "probe":
        chosen = {"strength": 0.001} if config.probe.solver == "lbfgs" else {"learning_rate": 0.3}
        shared |= {"solver": config.probe.solver, "feature_seconds": 162.0, "head_seconds": 14.3}
        return {**shared, "chosen": chosen, "epochs": 20.0, "trainable_parameters": 5130}
    return {
        **shared,
        "start": f"this run's probe ({folder}/probe/model)"
        if config.stage == "lpft"
        else "the pretrained model, with a new head",
        "learning_rate": 0.03,
        "optimizer": "sgd",
        "chosen": {"epoch": 2.0, "step": 20, "validation_accuracy": 0.7052},
        "epochs": 3.0,
        "training_seconds": 760.0,
        "images_per_second": 65.8,
        "trainable_parameters": 11_181_642,
    }


def _stage(folder: Path, names, metrics: dict, examples: int, model_config: dict, seed: int) -> None:
    for part in ("model", "figures", "examples"):
        (folder / part).mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "model" / "config.json").write_text(json.dumps(model_config))
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    for number, name in enumerate(("confusion_matrix", "reliability", "learning_curves", "per_class", "augmentation")):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / "figures" / f"{name}.png")
    if metrics["stage"] == "probe" and metrics["train"]["solver"] == "lbfgs":
        rows = [{"strength": 0.01, "iterations": 9, "loss": 0.4}, {"strength": 0.001, "iterations": 12, "loss": 0.3}]
        rows = [{**row, "validation_accuracy": 0.58, "validation_nll": 1.2} for row in rows]
    elif metrics["stage"] == "probe":
        accuracies = {f"validation_accuracy/{rate}": 0.5 + rate / 10 for rate in (0.1, 0.3)}
        rows = [{"epoch": 1.0, "step": 40, "loss": 18.8, "validation_accuracy": 0.53, **accuracies}]
    else:
        rows = [
            {
                "epoch": float(epoch),
                "step": 10 * epoch,
                "loss": 1 / epoch,
                "learning_rate/embedder": 0.01 / epoch,
                "learning_rate/head": 0.1 / epoch,
                "validation_accuracy": 0.6 + epoch / 100,
                "validation_f1_macro": 0.6,
                "validation_nll": 0.9,
            }
            for epoch in (1, 2, 3)
        ]
    write_rows(folder / "history.csv", rows)
    mistake = {"index": 4532, "label": names[0], "prediction": names[-1]}
    mistake |= {"label_probability": 0.0004, "prediction_probability": 0.9681, "loss": 7.8}
    write_rows(folder / "mistakes.csv", [mistake])
    write_rows(folder / "label_errors.csv", [mistake] * 7)
    write_predictions(folder / "predictions.parquet", len(names), seed)
    found = []
    for number in range(min(examples, len(names))):
        Image.new("RGB", (32, 32), (number, 90, 90)).save(folder / "examples" / f"{number}-image.png")
        answers = [names[number], names[(number + 1) % len(names)]]
        output = [{"label": name, "score": score} for name, score in zip(answers, (0.9012345, 0.0543), strict=True)]
        found.append({"file": f"{number}-image.png", "index": number, "label": names[number], "output": output})
    (folder / "examples" / "examples.json").write_text(json.dumps(found))


def write_rows(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_predictions(path: Path, classes: int, seed: int, count: int = 200) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.2), count).astype(np.float32)
    labels = np.random.default_rng(7).integers(0, classes, count)
    columns = {"index": np.arange(count), "label": labels, "prediction": probabilities.argmax(axis=1)}
    columns["probabilities"] = pa.FixedSizeListArray.from_arrays(probabilities.ravel(), classes)
    pq.write_table(pa.table(columns), path)

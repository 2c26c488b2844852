"""Runs as training leaves them, made in a moment: the files that a card is made from, with made-up numbers."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import yaml
from PIL import Image

from hf_cifar.config.layers import distributed, lay_over
from hf_cifar.config.recipes import read_recipe
from hf_cifar.config.run_config import RunConfig, nested
from hf_cifar.run.origins import SplitKind, SplitOrigin, StartKind, StartOrigin, WeightsKind, WeightsOrigin
from hf_cifar.run.split_metrics import ClassMetrics, ConfusedPair, ReliabilityBin, SplitMetrics
from hf_cifar.run.stage_metrics import DatasetInfo, Robustness, StageMetrics
from hf_cifar.run.train_summary import Augmentation, Chosen, FinetuneSummary, ProbeSummary
from hf_cifar.run.wording import describe_weights

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
TEST = {"accuracy": 0.70575, "accuracy_ci95": (0.69669, 0.71455), "f1_macro": 0.70241, "f1_macro_present": 0.70241}
TEST |= {"top5_accuracy": 0.98041, "nll": 0.82542, "ece": 0.04464}
CALIBRATED = {"temperature": 1.13844, "nll_calibrated": 0.81828, "ece_calibrated": 0.01617}
DIGITS = "digits (scikit-learn)"
TORCHVISION = WeightsOrigin(WeightsKind.TORCHVISION, "torchvision resnet18", "IMAGENET1K_V1")
RANDOM = WeightsOrigin(WeightsKind.RANDOM, "torchvision resnet18")
MINI = WeightsOrigin(WeightsKind.BUNDLED, "resnet18-mini", "resnet18-mini")
REST = SplitOrigin(SplitKind.REST, "train")
HELD_OUT = SplitOrigin(SplitKind.HELD_OUT, "train", fraction=0.1, seed=0)
PUBLISHED = SplitOrigin(SplitKind.PUBLISHED, "test")


def from_file(name: str, architecture: str = "resnet18") -> WeightsOrigin:
    return WeightsOrigin(WeightsKind.FILE, architecture, name)


def from_hub(name: str, revision: str | None = None) -> WeightsOrigin:
    return WeightsOrigin(WeightsKind.HUB, name, name, revision)


def make_run(
    folder: Path,
    names=tuple(CIFAR10),
    stages=("probe", "finetune"),
    dataset_id="uoft-cs/cifar10",
    revision="0b2714987fa478483af9968de7c934580d0bb9a2",
    weights_origin=TORCHVISION,
    base_model="timm/resnet18.tv_in1k",
    calibrated=True,
    robustness=False,
    examples=3,
    model_config=RESNET18,
    test_origin=PUBLISHED,
    **flags,
) -> Path:
    """A run with these stages and classes; `flags` are fields of its configuration."""
    stage = "lpft" if len(stages) == 2 else stages[0]
    options = {"dataset": "cifar10", "model": "resnet18", "output_dir": str(folder), "recipe": "resnet", **flags}
    given = distributed(nested({**options, "stage": stage}), stage)
    config = RunConfig.from_dict(lay_over(read_recipe(options["recipe"]), given))
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.safe_dump({**config.to_dict(), "provenance": {}}))
    dataset = DatasetInfo(
        id=dataset_id,
        kind="bundled" if dataset_id == DIGITS else "hub" if "/" in dataset_id else "folder",
        fingerprint="f",
        revision=revision,
        num_train=45_000,
        num_validation=5_000,
        num_test=10_000,
        num_corrupt={"train": 0, "validation": 0, "test": 0},
        splits={"train": REST, "validation": HELD_OUT, "test": test_origin},
    )
    corrupted = Robustness(2000, 0, 0.7, 0.51239, {"gaussian_noise": [0.6, 0.5, 0.4, 0.3, 0.2]})
    for name in stages:
        test = _split(names, calibrated, accuracy=TEST["accuracy"] - 0.12 * (name == "probe"))
        metrics = StageMetrics(
            stage=name,
            model=describe_weights(weights_origin),
            weights=weights_origin,
            base_model=base_model,
            seed=config.seed,
            dataset=dataset,
            test=test,
            validation=replace(test, num_examples=5_000),
            train=_train(config, name),
            robustness=corrupted if robustness else None,
            versions={"python": "3.11.7", "torch": "2.14.1"},
        )
        _stage(folder / name, names, metrics, examples, model_config)
    return folder


def edit_metrics(stage: Path, *keys: str, value) -> None:
    """Replace one value in the metrics.json of a stage, such as that of `"test", "accuracy"`."""
    metrics = json.loads((stage / "metrics.json").read_text())
    part = metrics
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    (stage / "metrics.json").write_text(json.dumps(metrics))


def _split(names, calibrated: bool, accuracy: float) -> SplitMetrics:
    classes = {
        name: ClassMetrics(precision=0.8, recall=0.7, f1=0.75 - 0.001 * index, num_examples=10_000 // len(names))
        for index, name in enumerate(names)
    }
    return SplitMetrics(
        **{"num_examples": 10_000, **TEST, "accuracy": accuracy},
        **(CALIBRATED if calibrated else dict.fromkeys(CALIBRATED)),
        reliability=[
            ReliabilityBin(low=0.0, high=0.5, count=0, confidence=None, accuracy=None),
            ReliabilityBin(low=0.5, high=1.0, count=10_000, confidence=0.75, accuracy=0.70575),
        ],
        reliability_calibrated=None,
        per_class=classes,
        confusion_matrix=[],
        confused_pairs=[ConfusedPair(label=names[-1], prediction=names[0], count=279, share=0.279)],
    )


def _train(config: RunConfig, stage: str) -> ProbeSummary | FinetuneSummary:
    shared = {"processes": 1, "peak_memory_mb": 1108.9, "total_parameters": 11_181_642, "seconds": 814.0}
    shared |= {"images_per_second": 65.8}
    if stage == "probe":
        lbfgs = config.probe.solver == "lbfgs"
        return ProbeSummary(
            **shared,
            augmentation=Augmentation(),
            chosen=Chosen(strength=0.001) if lbfgs else Chosen(learning_rate=0.3),
            epochs=None if lbfgs else 20.0,
            trainable_parameters=5130,
            solver=config.probe.solver,
            features=config.probe.features,
            feature_seconds=162.0,
            head_seconds=14.3,
            images_through_backbone={"train": 45_000},
        )
    name = config.finetune.from_
    kind = StartKind.CHECKPOINT if name else StartKind.PROBE if config.stage == "lpft" else StartKind.PRETRAINED
    options = config.augmentation
    return FinetuneSummary(
        **shared,
        augmentation=Augmentation(config.augment("finetune"), options.random_erasing, options.mixup, options.cutmix),
        chosen=Chosen(epoch=2.0, step=20, metric="accuracy", value=0.7052),
        epochs=3.0,
        trainable_parameters=11_181_642,
        start=StartOrigin(kind, name, new_head=kind is StartKind.PRETRAINED),
        unfreeze=config.finetune.unfreeze,
        bn=config.finetune.bn,
        optimizer="sgd",
        learning_rate=0.03,
        scheduler=config.finetune.scheduler,
        training_seconds=760.0,
    )


def _stage(folder: Path, names, metrics: StageMetrics, examples: int, model_config: dict) -> None:
    for part in ("model", "figures", "examples"):
        (folder / part).mkdir(parents=True)
    metrics.write(folder / "metrics.json")
    (folder / "model" / "config.json").write_text(json.dumps(model_config))
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    for index, name in enumerate(("confusion_matrix", "reliability", "learning_curves", "per_class", "augmentation")):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(folder / "figures" / f"{name}.png")
    doubtful = {"index": 4532, "label": names[0], "prediction": names[-1], "label_probability": 0.0004}
    write_rows(folder / "label_errors.csv", [doubtful] * 7)
    rows = []
    for index in range(min(examples, len(names))):
        Image.new("RGB", (32, 32), (index, 90, 90)).save(folder / "examples" / f"{index}-image.png")
        labels = [names[index], names[(index + 1) % len(names)]]
        output = [{"label": name, "score": score} for name, score in zip(labels, (0.9012345, 0.0543), strict=True)]
        rows.append({"file": f"{index}-image.png", "index": index, "label": names[index], "output": output})
    (folder / "examples" / "examples.json").write_text(json.dumps(rows))


def write_rows(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

"""The stages of a run, from a configuration to what it leaves behind."""

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_cifar.config import RunConfig
from hf_cifar.data.sources import Source, load_source
from hf_cifar.data.splits import Splits, make_splits
from hf_cifar.data.transforms import dataset_statistics
from hf_cifar.evaluation.evaluator import evaluate_logits, save_predictions
from hf_cifar.files import write_json
from hf_cifar.models.anatomy import head
from hf_cifar.models.build import BuiltModel, build_model, fit_processor
from hf_cifar.models.export import save
from hf_cifar.progress import say
from hf_cifar.run_folder import RunFolder, versions
from hf_cifar.training.probe import Probe, ProbeResult


@dataclass(frozen=True)
class StageResult:
    """What a stage has come to.

    Attributes:
        stage: its name.
        output_dir: the folder of the run.
        metrics: the content of metrics.json.
    """

    stage: str
    output_dir: Path
    metrics: dict[str, Any]

    @property
    def model_dir(self) -> Path:
        """The saved model: `pipeline("image-classification", model=str(result.model_dir))`."""
        return self.output_dir / self.stage / "model"

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""
        test = self.metrics["test"]
        return {
            "stage": self.stage,
            "output_dir": str(self.output_dir),
            "model_dir": str(self.model_dir),
            "dataset": self.metrics["dataset"]["id"],
            "accuracy": test["accuracy"],
            "accuracy_ci95": test["accuracy_ci95"],
            "f1_macro": test["f1_macro"],
            "num_test": test["num_examples"],
            "validation_accuracy": self.metrics["validation"]["accuracy"],
            "seconds": self.metrics["train"]["seconds"],
        }


def run(config: RunConfig) -> StageResult:
    """Run the stage that a configuration names.

    Raises:
        InputError: the request, or what it points at, is wrong.
    """
    folder = RunFolder(config)
    metrics = folder.finished()
    if metrics is not None:
        say(f"{config.stage} in {folder.path} is done already")
        return StageResult(config.stage, folder.path, metrics)
    start = time.perf_counter()
    source = load_source(config.data)
    splits = make_splits(source, config.data, config.seed)
    built = _fitted(build_model(config.model, source.label_names, config.seed), config, source, splits)
    probe = Probe(config.probe, built.model, built.processor, splits, folder, config.seed)
    _announce(source, splits, built)
    folder.claim()
    folder.describe(_provenance(source, splits, built), _indices(splits))
    result = probe.run(config.resume)
    save(built.model, built.processor, folder.model)
    metrics = _metrics(config, source, splits, built, result, time.perf_counter() - start)
    save_predictions(folder.stage / "predictions.parquet", result.test_logits, splits.test.targets, splits.test.index)
    write_json(folder.stage / "metrics.json", metrics)
    _report(metrics, folder)
    return StageResult(config.stage, folder.path, metrics)


def _fitted(built: BuiltModel, config: RunConfig, source: Source, splits: Splits) -> BuiltModel:
    """The model with a processor of the size and normalisation that were asked for."""
    statistics = None
    if config.model.normalization == "dataset":
        statistics = dataset_statistics(splits.train, source.label_names, config.seed)
        mean, std = np.array(statistics[0]), np.array(statistics[1])
        own_mean, own_std = np.array(built.processor.image_mean), np.array(built.processor.image_std)
        say(
            f"warning: --normalization dataset (mean {statistics[0]}, std {statistics[1]}) is not what the backbone "
            f"was trained with (mean {own_mean.tolist()}, std {own_std.tolist()}): it sees inputs shifted by up to "
            f"{np.abs((own_mean - mean) / std).max():.2f} and scaled by up to {np.max(own_std / std):.2f}; "
            "a frozen backbone cannot adapt to that, and the larger they are, the more accuracy it costs"
        )
    return BuiltModel(built.model, fit_processor(built.processor, config.model.image_size, statistics), built.origin)


def _announce(source: Source, splits: Splits, built: BuiltModel) -> None:
    sizes = ", ".join(f"{name} {len(images):,} ({splits.origin[name]})" for name, images in splits.parts().items())
    say(f"data: {source.name}, {len(source.label_names)} classes; {sizes}")
    say(f"model: {built.origin}")
    for name, count in splits.num_corrupt.items():
        if count:
            say(f"warning: {count} images of {name} cannot be read and are left out")


def _provenance(source: Source, splits: Splits, built: BuiltModel) -> dict[str, Any]:
    return {
        "dataset": source.name,
        "dataset_revision": source.revision,
        "fingerprints": {name: images.fingerprint for name, images in splits.parts().items()},
        "splits": splits.origin,
        "backbone": built.origin,
    }


def _indices(splits: Splits) -> dict[str, Any]:
    """For each part, the split of the source and the rows of it."""
    return {name: {"split": images.name, "rows": images.index.tolist()} for name, images in splits.parts().items()}


def _metrics(
    config: RunConfig, source: Source, splits: Splits, built: BuiltModel, result: ProbeResult, seconds: float
) -> dict[str, Any]:
    layer = head(built.model)
    passes = result.epochs or 1.0
    return {
        "stage": config.stage,
        "model": built.origin,
        "seed": config.seed,
        "dataset": {
            "id": source.name,
            "revision": source.revision,
            "fingerprint": splits.train.fingerprint,
            "num_train": len(splits.train),
            "num_validation": len(splits.validation),
            "num_test": len(splits.test),
            "num_corrupt": splits.num_corrupt,
            "splits": splits.origin,
        },
        "test": evaluate_logits(result.test_logits, splits.test.targets, source.label_names),
        "validation": evaluate_logits(result.validation_logits, splits.validation.targets, source.label_names),
        "train": {
            "solver": config.probe.solver,
            "features": config.probe.features,
            "augmentation": config.probe.augmentation,
            "chosen": result.chosen,
            "epochs": result.epochs,
            "seconds": seconds,
            "feature_seconds": result.feature_seconds,
            "head_seconds": result.head_seconds,
            "images_through_backbone": result.images_read,
            "images_per_second": len(splits.train) * passes / result.head_seconds,
            "peak_memory_mb": _peak_memory_mb(),
            "trainable_parameters": layer.weight.numel() + layer.bias.numel(),
            "total_parameters": sum(parameter.numel() for parameter in built.model.parameters()),
        },
        "versions": versions(),
    }


def _peak_memory_mb() -> float:
    """Of the GPU where one is used, otherwise of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _report(metrics: dict[str, Any], folder: RunFolder) -> None:
    test = metrics["test"]
    low, high = test["accuracy_ci95"]
    say(
        f"test accuracy {test['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}, "
        f"{test['num_examples']:,} images), macro F1 {test['f1_macro']:.2%}, "
        f"validation accuracy {metrics['validation']['accuracy']:.2%}"
    )
    say(f"model: {folder.model}")

"""What a model card is made from: the files that a run leaves, and nothing else."""

import csv
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hf_cifar.config.recipes import read_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.run.stage_folder import EXAMPLES_FILE, RUN_FILE, SPLITS_FILE, StageFolder

TRAINING_STAGES = ("probe", "finetune")
DIGITS = "digits (scikit-learn)"
BUNDLED = "resnet18-mini"
CIFAR10_ID = "uoft-cs/cifar10"
CIFAR10_NAMES = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
_RESNETS = {
    ("basic", (2, 2, 2, 2)): "ResNet-18",
    ("basic", (3, 4, 6, 3)): "ResNet-34",
    ("bottleneck", (3, 4, 6, 3)): "ResNet-50",
    ("bottleneck", (3, 4, 23, 3)): "ResNet-101",
    ("bottleneck", (3, 8, 36, 3)): "ResNet-152",
}
_RESNET_WIDTHS = {"basic": 512, "bottleneck": 2048}
_VITS = {(192, 12): "Ti", (384, 12): "S", (768, 12): "B", (1024, 24): "L", (1280, 32): "H"}


@dataclass(frozen=True)
class StageData:
    """One training stage of the run.

    Attributes:
        name: probe or finetune.
        metrics: the content of metrics.json.
        history: the rows of history.csv.
    """

    name: str
    metrics: dict[str, Any]
    history: list[dict[str, str]]

    @classmethod
    def read(cls, folder: StageFolder) -> "StageData | None":
        """The stage in a folder, or None where none is done there."""
        metrics = folder.done()
        return None if metrics is None else cls(folder.path.name, metrics, _rows(folder.history))


@dataclass(frozen=True)
class CardData:
    """Everything that the card of one stage's model says, read from the files of the run.

    Attributes:
        folder: of the stage.
        stage: that stage.
        other: the run's other training stage: the fine-tuning of a probe, or the probe under a fine-tuning.
        config: of the run.
        splits: for each split, which split of the source its rows are from, and how many they are.
        mistakes: the rows of mistakes.csv, the worst first.
        label_errors: how many test images have a label that is in doubt; None where that was not looked at.
        examples: of examples.json, those whose picture is there.
        figures: names of the pictures in figures/, sorted.
        model_config: the saved model's config.json.
        processor: its preprocessor_config.json.
        hub_model_id: the repository that the card is for.
        license: of the model, where it was given.
    """

    # Of the stage and its run
    folder: StageFolder
    stage: StageData
    other: StageData | None
    config: RunConfig
    splits: dict[str, dict[str, Any]]
    # What the stage left beside its metrics
    mistakes: list[dict[str, str]]
    label_errors: int | None
    examples: list[dict[str, Any]]
    figures: list[str]
    model_config: dict[str, Any]
    processor: dict[str, Any]
    # Given by the caller
    hub_model_id: str | None = None
    license: str | None = None

    @classmethod
    def read(cls, stage_folder: Path, hub_model_id: str | None = None, license: str | None = None) -> "CardData":
        """Gather it from the files.

        Args:
            stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`.
            hub_model_id: the repository that the card is for.
            license: of the model; default: the base model's, if known.

        Raises:
            InputError: no training stage is done there.
        """
        folder = StageFolder(Path(stage_folder).resolve())
        stage = StageData.read(folder)
        if stage is None or "train" not in stage.metrics:
            raise InputError(f"{stage_folder} holds no training stage that is done: give runs/NAME/probe or /finetune")
        run = folder.path.parent
        name = next((name for name in TRAINING_STAGES if name != stage.name), "")
        return cls(
            folder=folder,
            stage=stage,
            other=StageData.read(StageFolder(run / name)),
            config=RunConfig.build(read_yaml(run / RUN_FILE)),
            splits=_splits(run / SPLITS_FILE),
            mistakes=_rows(folder.mistakes),
            label_errors=len(_rows(folder.label_errors)) if folder.label_errors.is_file() else None,
            examples=_examples(folder.examples),
            figures=sorted(path.name for path in folder.figures.glob("*.png")),
            model_config=_object(folder.model / "config.json"),
            processor=_object(folder.model / "preprocessor_config.json"),
            hub_model_id=hub_model_id,
            license=license,
        )

    @property
    def test(self) -> dict[str, Any]:
        """What metrics.json says of the test split."""
        section: dict[str, Any] = self.stage.metrics["test"]
        return section

    @property
    def train(self) -> dict[str, Any]:
        """What metrics.json says of the training."""
        section: dict[str, Any] = self.stage.metrics["train"]
        return section

    @property
    def stages(self) -> list[StageData]:
        """The training stages that this model has gone through, in order."""
        earlier = [self.other] if self.other is not None and self.stage.name == "finetune" else []
        return [*earlier, self.stage]

    @property
    def lpft(self) -> bool:
        """Whether the model was probed and then fine-tuned by this run."""
        return len(self.stages) == 2

    @property
    def label_names(self) -> list[str]:
        """One a class, in the order of the logits."""
        return list(self.test["per_class"])

    @property
    def dataset_id(self) -> str | None:
        """The Hub id of the dataset, or None for a local folder and for the bundled digits."""
        name = str(self.stage.metrics["dataset"]["id"])
        return name if "/" in name else None

    @property
    def dataset_name(self) -> str:
        """What a reader calls the dataset."""
        name = str(self.stage.metrics["dataset"]["id"])
        return {CIFAR10_ID: "CIFAR-10", DIGITS: "scikit-learn's digits"}.get(name, name)

    @property
    def dataset_is_local(self) -> bool:
        """Whether the images came from a folder."""
        return self.dataset_id is None and self.stage.metrics["dataset"]["id"] != DIGITS

    @property
    def is_cifar10(self) -> bool:
        """Whether the dataset is CIFAR-10, or a local copy that is called so and has its classes."""
        name = re.sub(r"[^a-z0-9]", "", self.dataset_name.lower())
        return self.dataset_id == CIFAR10_ID or (
            self.dataset_is_local and "cifar10" in name and set(self.label_names) == CIFAR10_NAMES
        )

    @property
    def base_model(self) -> str | None:
        """The Hub id of the pretrained model that the run started from."""
        return self.stage.metrics.get("base_model")

    @property
    def random_weights(self) -> bool:
        """Whether nothing was pretrained."""
        return str(self.stage.metrics["model"]).endswith("random weights")

    @property
    def bundled_base(self) -> bool:
        """Whether the run started from the backbone that ships with the package."""
        return self.base_model is None and self.stage.metrics["model"] == BUNDLED

    @property
    def architecture(self) -> str:
        """What a reader calls the network."""
        return architecture(self.model_config)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of what the network sees, in pixels."""
        size = self.processor.get("crop_size") if self.processor.get("do_center_crop") else self.processor.get("size")
        if not isinstance(size, dict):
            return None
        if "shortest_edge" in size:
            return int(size["shortest_edge"]), int(size["shortest_edge"])
        return (int(size["height"]), int(size["width"])) if {"height", "width"} <= set(size) else None

    @cached_property
    def example_sizes(self) -> list[tuple[int, int]]:
        """Width and height of the example images, in pixels: each pair once, sorted."""
        from PIL import Image

        sizes = set()
        for example in self.examples:
            with Image.open(self.folder.examples / example["file"]) as image:
                sizes.add(image.size)
        return sorted(sizes)

    @property
    def hub_names(self) -> set[str]:
        """The names in the configuration that are the Hub's, and no local paths."""
        stages = [self.stage, *([self.other] if self.other else [])]
        # USER/NAME@REVISION, and what is said of it after a comma.
        origins = {str(stage.metrics["model"]).partition(",")[0] for stage in stages}
        known = {self.base_model, self.dataset_id, *origins}
        return {name for name in known if name and "/" in name and " " not in name}


def architecture(config: dict[str, Any]) -> str:
    """What a reader calls the network of a config.json: `ResNet-18`, `ViT-B/16`, or the name of its class."""
    kind = config.get("model_type")
    if kind == "resnet":
        layer = config.get("layer_type", "bottleneck")
        name = _RESNETS.get((layer, tuple(config.get("depths", ()))), "ResNet")
        narrow = name != "ResNet" and config["hidden_sizes"][-1] < _RESNET_WIDTHS[layer]
        return f"narrow {name}" if narrow else name
    if kind == "vit":
        size = _VITS.get((config.get("hidden_size", 0), config.get("num_hidden_layers", 0)))
        return f"ViT-{size}/{config['patch_size']}" if size else "ViT"
    name = str((config.get("architectures") or ["image classifier"])[0])
    return name.removesuffix("ForImageClassification")


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _splits(file: Path) -> dict[str, dict[str, Any]]:
    return {name: {"split": part["split"], "count": len(part["rows"])} for name, part in _object(file).items()}


def _examples(folder: Path) -> list[dict[str, Any]]:
    file = folder / EXAMPLES_FILE
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return [example for example in found if (folder / example["file"]).is_file()]

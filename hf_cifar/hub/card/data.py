"""Read the files of a run that a model card is made from."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.hub.card import network
from hf_cifar.hub.examples import Example, Score, read_examples
from hf_cifar.run.format_metrics import FormatMetrics
from hf_cifar.run.origins import StartOrigin, WeightsKind, WeightsOrigin
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.run.stage_folder import RUN_FILE, StageFolder
from hf_cifar.run.stage_metrics import DatasetInfo, StageMetrics
from hf_cifar.run.train_summary import FinetuneSummary, ProbeSummary

TRAINING_STAGES = ("probe", "finetune")
BUNDLED = "resnet18-mini"
CIFAR10_ID = "uoft-cs/cifar10"
CIFAR10_NAMES = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}


@dataclass(frozen=True)
class TrainedStage:
    """A finished training stage.

    Attributes:
        name: probe or finetune.
        metrics: the content of metrics.json; `train`, `weights` and `validation` are parts of it.
    """

    name: str
    metrics: StageMetrics
    train: ProbeSummary | FinetuneSummary
    weights: WeightsOrigin
    validation: SplitMetrics

    @classmethod
    def read(cls, folder: StageFolder) -> "TrainedStage | None":
        """Return the stage in a folder, or None where no training stage is finished."""
        metrics = folder.read_metrics()
        if metrics is None or not (metrics.train and metrics.weights and metrics.validation):
            return None
        return cls(folder.path.name, metrics, metrics.train, metrics.weights, metrics.validation)

    @property
    def start(self) -> StartOrigin | None:
        """Return what fine-tuning started from; None for a probe."""
        return self.train.start if isinstance(self.train, FinetuneSummary) else None


@dataclass(frozen=True)
class ExportedForm:
    """What an export has that the stage's own model has not.

    Attributes:
        formats: other forms of the model, as they were measured.
        temperature: that the head was divided by.
        scores: file of an example -> label -> score of the exported model.
    """

    formats: FormatMetrics | None = None
    temperature: float | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def applied_to(self, stage: TrainedStage) -> TrainedStage:
        """Return a stage with what is another in the export."""
        metrics = replace(stage.metrics, formats=self.formats, head_divided_by=self.temperature)
        return replace(stage, metrics=metrics)

    def answers(self, example: Example) -> Example:
        """Return an example with the scores of the exported model."""
        scores = self.scores.get(example.file, {})
        return replace(
            example, output=[Score(item.label, scores.get(item.label, item.score)) for item in example.output]
        )


@dataclass(frozen=True)
class CardData:
    """The facts of one stage's model, all read from the files of its run.

    Attributes:
        folder: of the stage.
        stage: that stage.
        other: the run's other training stage: the fine-tuning of a probe, or the probe before a fine-tuning.
        config: of the run.
        num_label_errors: test images whose label is doubtful.
        examples: example images with their predictions.
        figures: names of the pictures in figures/ without their suffix, sorted.
        model_config: the saved model's config.json.
        processor: its preprocessor_config.json.
        hub_model_id: the repository that the card is for.
        license: of the model, where it was given.
    """

    folder: StageFolder
    stage: TrainedStage
    other: TrainedStage | None
    config: RunConfig
    num_label_errors: int
    examples: list[Example]
    figures: list[str]
    model_config: dict[str, Any]
    processor: dict[str, Any]
    hub_model_id: str | None = None
    license: str | None = None

    @classmethod
    def read(
        cls,
        stage_folder: Path,
        hub_model_id: str | None = None,
        license: str | None = None,
        exported: ExportedForm | None = None,
    ) -> "CardData":
        """Read the files of a stage and of its run; arguments and errors are those of `render_card`."""
        folder = StageFolder(Path(stage_folder).resolve())
        stage = TrainedStage.read(folder)
        if stage is None:
            raise InputError(f"{stage_folder} holds no finished training stage: give runs/NAME/probe or /finetune")
        run, exported = folder.path.parent, exported or ExportedForm()
        name = next(name for name in TRAINING_STAGES if name != stage.name)
        errors = folder.label_errors
        return cls(
            folder=folder,
            stage=exported.applied_to(stage),
            other=TrainedStage.read(StageFolder(run / name)),
            config=RunConfig.read(run / RUN_FILE),
            num_label_errors=max(0, len(errors.read_text(encoding="utf-8").splitlines()) - 1)
            if errors.is_file()
            else 0,
            examples=[exported.answers(example) for example in read_examples(folder)],
            figures=sorted(path.stem for path in folder.figures.glob("*.png")),
            model_config=_read_json(folder.model / "config.json"),
            processor=_read_json(folder.model / "preprocessor_config.json"),
            hub_model_id=hub_model_id,
            license=license,
        )

    @property
    def metrics(self) -> StageMetrics:
        """Return everything that the stage measured."""
        return self.stage.metrics

    @property
    def test(self) -> SplitMetrics:
        """Return the metrics of the test split."""
        return self.stage.metrics.test

    @property
    def dataset(self) -> DatasetInfo:
        """Return the data of the stage."""
        return self.stage.metrics.dataset

    @property
    def stages(self) -> list[TrainedStage]:
        """Return the training stages of this model, in order."""
        return [self.other, self.stage] if self.other is not None and self.stage.name == "finetune" else [self.stage]

    @property
    def is_lpft(self) -> bool:
        """Return whether this run probed the model and then fine-tuned it."""
        return len(self.stages) == 2

    @property
    def dataset_name(self) -> str:
        """Return the usual name of the dataset."""
        if self.dataset.kind == "bundled":
            return "scikit-learn's digits"
        return "CIFAR-10" if self.dataset.id == CIFAR10_ID else self.dataset.id

    @property
    def is_cifar10(self) -> bool:
        """Return whether the dataset is CIFAR-10, or a local copy that is called so and has its classes."""
        name = re.sub(r"[^a-z0-9]", "", self.dataset.id.lower())
        copy = self.dataset.kind == "folder" and "cifar10" in name and set(self.test.label_names) == CIFAR10_NAMES
        return self.dataset.id == CIFAR10_ID or copy

    @property
    def has_bundled_base(self) -> bool:
        """Return whether the run started from the backbone that ships with the package."""
        return self.stage.weights.kind is WeightsKind.BUNDLED

    @property
    def architecture(self) -> str:
        """Return the usual name of the network."""
        return network.architecture(self.model_config)

    @cached_property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Return the widths and heights of the example images in pixels, each pair once, sorted."""
        return sorted({self.size_of(example) for example in self.examples})

    def size_of(self, example: Example) -> tuple[int, int]:
        """Return the width and height of an example image in pixels."""
        from PIL import Image

        with Image.open(self.folder.examples / example.file) as image:
            return image.size

    @property
    def hub_names(self) -> set[str]:
        """Return the names in the configuration that are Hub ids, and no local paths."""
        names = {self.metrics.base_model, self.dataset.id if self.dataset.kind == "hub" else None}
        for stage in (self.stage, self.other):
            if stage is not None:
                weights = stage.weights
                names |= {weights.architecture, weights.name, weights.revision and f"{weights.name}@{weights.revision}"}
        return {name for name in names if name and "/" in name and " " not in name}


def _read_json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return content

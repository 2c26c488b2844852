"""Everything that a stage measured: the content of `metrics.json`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError
from hf_cifar.run.against_probe import AgainstProbe
from hf_cifar.run.format_metrics import FormatMetrics
from hf_cifar.run.legacy import upgrade
from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.origins import SplitOrigin, WeightsOrigin
from hf_cifar.run.seed_summary import SeedSummary
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.run.train_summary import FinetuneSummary, ProbeSummary
from hf_cifar.utils.files import write_json

SCHEMA_VERSION = 2
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetInfo:
    """The data of a stage.

    Attributes:
        id: the Hub id, the name of a folder, or "digits (scikit-learn)".
        kind: hub, folder or bundled.
        revision: the commit of a Hub dataset.
        fingerprint: of the split that was trained on, or of the one that was measured.
        num_train, num_validation, num_test: images; None where a stage has no such split.
        train_per_class: class name -> training images.
        num_corrupt: for each split, unreadable images that were left out.
        splits: for each split, where its images come from.
        num_trained_on: measured images that are identical to training images of the model; None where not known.
        num_validation_copies: validation images that are identical to training images; None where not known.
        num_left_out: images that were not measured because the model was trained on them.
        label_column: that the labels were read from; None for bundled data, and where an older version did not say.
    """

    id: str
    kind: str
    fingerprint: str
    num_test: int
    splits: dict[str, SplitOrigin]
    revision: str | None = None
    num_train: int | None = None
    num_validation: int | None = None
    train_per_class: dict[str, int] | None = None
    num_corrupt: dict[str, int] = field(default_factory=dict)
    num_trained_on: int | None = None
    num_validation_copies: int | None = None
    num_left_out: int = 0
    label_column: str | None = None

    def count(self, split: str) -> int | None:
        """Return the number of images of train, validation or test."""
        return {"train": self.num_train, "validation": self.num_validation, "test": self.num_test}[split]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "splits": {name: origin.to_dict() for name, origin in self.splits.items()}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DatasetInfo":
        """Build it from what `to_dict` returned."""
        splits = {name: SplitOrigin.from_dict(origin) for name, origin in values["splits"].items()}
        return cls(**{**values, "splits": splits})


@dataclass(frozen=True)
class Robustness:
    """Accuracy on corrupted images; fractions.

    Attributes:
        num_examples: images, each in every corruption and severity.
        seed: of what the corruptions draw.
        clean_accuracy: on the same images as they are.
        mean_corruption_accuracy: mean over corruptions and severities.
        corruptions: name -> accuracy at severity 1 to 5.
    """

    num_examples: int
    seed: int
    clean_accuracy: float
    mean_corruption_accuracy: float
    corruptions: dict[str, list[float]]


@dataclass(frozen=True)
class SetCoverage:
    """What the sets of one asked coverage come to on a split; fractions.

    Attributes:
        asked: the coverage that the sets are made for.
        coverage: the fraction of images whose label is in their set.
        mean_size: labels in a set, on average.
        num_examples: images.
    """

    asked: float
    coverage: float
    mean_size: float
    num_examples: int


@dataclass(frozen=True)
class WithoutLeaks:
    """Accuracy on the measured images that have no twin among the images that the model was trained or chosen on.

    Attributes:
        num_examples: images that are left.
        num_exact, num_near: images that were left out: with an identical twin, with a near-duplicate only.
        accuracy: with `accuracy_ci95`, its Wilson interval.
        near_cosine, near_hash: the thresholds of near-duplicates in the audit that lists the twins.
        audited_with: the model whose features that audit used, in words.
    """

    num_examples: int
    num_exact: int
    num_near: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    near_cosine: float
    near_hash: int
    audited_with: str

    @property
    def num_left_out(self) -> int:
        """Return how many images were left out."""
        return self.num_exact + self.num_near

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "WithoutLeaks":
        """Build it from plain values."""
        low, high = values["accuracy_ci95"]
        return cls(**{**values, "accuracy_ci95": (low, high)})


@dataclass(frozen=True)
class Hardware:
    """What a stage ran on.

    Attributes:
        device: the accelerator's name, or "cpu".
        cpu: the processor's name.
        cores: of the machine.
    """

    device: str
    cpu: str | None = None
    cores: int | None = None


@dataclass(frozen=True, kw_only=True)
class StageMetrics:
    """What one stage has come to, read and written as `metrics.json`.

    Attributes:
        stage: probe, finetune or evaluate.
        model: the weights that the network started from, in words; of an evaluation, the model's name.
        weights: the same as data; None for an evaluation.
        base_model: the Hub id that the weights go back to.
        seed: of the run.
        dataset: the data.
        test: the held-out test split, or the split that was evaluated.
        validation: the split that everything was chosen on; None for an evaluation.
        train: how the model was trained; None for an evaluation.
        robustness: accuracy on corrupted images, where asked for.
        seeds: what several seeds came to, of which this model was kept or made; None for a single run.
        formats: of an export, the other forms of the model that were asked for.
        head_divided_by: of an export, the temperature that its head was divided by: scores are calibrated.
        prediction_sets: of the model, measured on the split under `test`; None where the model has none.
        without_leaks: accuracy without images that have a twin in training, where asked for.
        against_probe: of a fine-tuning from a probe on the same data, what it changed.
        ood: how well a score tells corrupted and foreign images apart, where asked for.
        split: the name of the split under `test`.
        model_dir: of an evaluation, the folder or Hub id of the model.
        temperature_origin: of an evaluation, where the temperature comes from.
        seconds: of an evaluation.
        finished: when it was measured, as `2026-03-01 14:05 UTC`; None where an older version did not say.
        hardware: what it ran on.
        versions: library -> version.
    """

    stage: str
    model: str
    seed: int
    dataset: DatasetInfo
    test: SplitMetrics
    weights: WeightsOrigin | None = None
    base_model: str | None = None
    validation: SplitMetrics | None = None
    train: ProbeSummary | FinetuneSummary | None = None
    robustness: Robustness | None = None
    seeds: SeedSummary | None = None
    formats: FormatMetrics | None = None
    head_divided_by: float | None = None
    prediction_sets: list[SetCoverage] | None = None
    without_leaks: WithoutLeaks | None = None
    against_probe: AgainstProbe | None = None
    ood: OodMetrics | None = None
    split: str = "test"
    model_dir: str | None = None
    temperature_origin: str | None = None
    seconds: float | None = None
    finished: str | None = None
    hardware: Hardware | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def wall_seconds(self) -> float:
        """Return how long the stage took."""
        return self.train.seconds if self.train is not None else self.seconds or 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without what the stage does not have."""
        values = {
            "schema_version": SCHEMA_VERSION,
            "stage": self.stage,
            "split": self.split,
            "model": self.model,
            "weights": self.weights.to_dict() if self.weights else None,
            "model_dir": self.model_dir,
            "seed": self.seed,
            "dataset": self.dataset.to_dict(),
            "temperature_origin": self.temperature_origin,
            "test": self.test.to_dict(),
            "validation": self.validation.to_dict() if self.validation else None,
            "train": self.train.to_dict() if self.train else None,
            "robustness": asdict(self.robustness) if self.robustness else None,
            "seeds": self.seeds.to_dict() if self.seeds else None,
            "formats": self.formats.to_dict() if self.formats else None,
            "head_divided_by": self.head_divided_by,
            "prediction_sets": [asdict(item) for item in self.prediction_sets] if self.prediction_sets else None,
            "without_leaks": asdict(self.without_leaks) if self.without_leaks else None,
            "against_probe": asdict(self.against_probe) if self.against_probe else None,
            "ood": self.ood.to_dict() if self.ood else None,
            "seconds": self.seconds,
            "finished": self.finished,
            "hardware": asdict(self.hardware) if self.hardware else None,
            "versions": self.versions,
        }
        # A base model that is not known is said to be: others look for the key.
        return {**{name: value for name, value in values.items() if value is not None}, "base_model": self.base_model}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StageMetrics":
        """Build it from the content of a `metrics.json`, also one of an older version.

        Raises:
            KeyError, TypeError, ValueError: it is no such content.
        """
        values = dict(upgrade(values))
        values.pop("schema_version", None)
        train = values.get("train")
        kind = ProbeSummary if values["stage"] == "probe" else FinetuneSummary
        named: dict[str, Any] = {
            "weights": WeightsOrigin.from_dict(values["weights"]) if values.get("weights") else None,
            "dataset": DatasetInfo.from_dict(values["dataset"]),
            "test": SplitMetrics.from_dict(values["test"]),
            "validation": SplitMetrics.from_dict(values["validation"]) if values.get("validation") else None,
            "train": kind.from_dict(train) if train else None,
            "robustness": Robustness(**values["robustness"]) if values.get("robustness") else None,
            "seeds": SeedSummary.from_dict(values["seeds"]) if values.get("seeds") else None,
            "formats": FormatMetrics.from_dict(values["formats"]) if values.get("formats") else None,
            "prediction_sets": [SetCoverage(**item) for item in values.get("prediction_sets") or ()] or None,
            "without_leaks": WithoutLeaks.from_dict(values["without_leaks"]) if values.get("without_leaks") else None,
            "against_probe": AgainstProbe.from_dict(values["against_probe"]) if values.get("against_probe") else None,
            "ood": OodMetrics.from_dict(values["ood"]) if values.get("ood") else None,
            "hardware": Hardware(**values["hardware"]) if values.get("hardware") else None,
        }
        return cls(**{**values, **named})

    @classmethod
    def read(cls, path: Path) -> "StageMetrics":
        """Read a `metrics.json`, also one of an older version.

        Raises:
            InputError: the file cannot be read, or is no such file.
        """
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is damaged, or not the metrics of a stage ({error})") from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_json(path, self.to_dict())

"""The rows of a comparison, as `compare.json` holds them. Light: reading a request imports nothing heavy."""

from dataclasses import asdict, dataclass
from typing import Any

from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.evaluation.comparison.mcnemar import PairedTest
from hf_cifar.run.seed_summary import SeedSummary


@dataclass(frozen=True)
class ModelCost:
    """Cost of one model.

    Attributes:
        parameters: their number.
        gflops: of one forward pass of one image, in 1e9 operations.
        image_size: height and width of the input, in pixels.
        images_per_second: in batches, median.
        latency_ms: of one image, median.
        latency_ms_quartiles: lower and upper.
    """

    parameters: int
    gflops: float
    image_size: tuple[int, int]
    images_per_second: float
    latency_ms: float
    latency_ms_quartiles: tuple[float, float]


@dataclass(frozen=True)
class Measurement:
    """Conditions under which costs were measured.

    Attributes:
        device: its name.
        threads: of PyTorch, on the CPU; None on an accelerator.
        batch_size: of the throughput.
        rounds: that the medians are over.
        torch: its version.
    """

    device: str
    threads: int | None
    batch_size: int
    rounds: int
    torch: str


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of a comparison; None where its files do not tell.

    Attributes:
        name: that tells it from the others.
        folder: of its stage.
        stage, model, base_model, seed: of its metrics.
        seeds: what several seeds came to, of which this model was kept; None for a single run.
        accuracy, accuracy_ci95, balanced_accuracy, f1_macro, f1_macro_present, top5_accuracy, nll, ece,
            ece_calibrated: of the test images.
        num_examples: the number of these.
        num_classes: the number of classes.
        mean_corruption_accuracy: where it was measured.
        parameters: of the model.
        cost: of the model; None where it cannot be loaded.
        peak_memory_mb, training_seconds: of the training stage.
    """

    name: str
    folder: str
    stage: str
    model: str
    base_model: str | None
    seed: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    balanced_accuracy: float
    f1_macro: float
    f1_macro_present: float
    top5_accuracy: float
    nll: float
    ece: float
    ece_calibrated: float | None
    mean_corruption_accuracy: float | None
    parameters: int | None
    cost: ModelCost | None
    peak_memory_mb: float | None
    training_seconds: float | None
    num_examples: int
    num_classes: int
    seeds: SeedSummary | None = None

    @property
    def has_two_macro_f1(self) -> bool:
        """Return whether macro F1 depends on the classes without images, since one of them was predicted."""
        return abs(self.f1_macro - self.f1_macro_present) > 1e-9

    @classmethod
    def of(cls, run: ComparedRun, cost: ModelCost | None) -> "RunRow":
        """Build the row of a run."""
        metrics, train = run.metrics, run.training
        test, robustness = metrics.test, metrics.robustness
        known = train.total_parameters if train else None
        return cls(
            name=run.name,
            folder=str(run.folder.path),
            stage=metrics.stage,
            model=metrics.model,
            base_model=metrics.base_model,
            seed=metrics.seed,
            accuracy=test.accuracy,
            accuracy_ci95=test.accuracy_ci95,
            balanced_accuracy=test.balanced_accuracy,
            f1_macro=test.f1_macro,
            f1_macro_present=test.f1_macro_present,
            top5_accuracy=test.top5_accuracy,
            nll=test.nll,
            ece=test.ece,
            ece_calibrated=test.ece_calibrated,
            mean_corruption_accuracy=robustness.mean_corruption_accuracy if robustness else None,
            parameters=cost.parameters if cost else known,
            cost=cost,
            peak_memory_mb=train.peak_memory_mb if train else None,
            training_seconds=train.seconds if train else None,
            num_examples=test.num_examples,
            num_classes=len(test.per_class),
            seeds=metrics.seeds,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with those of the cost beside the others."""
        values = asdict(self)
        values.pop("num_examples")
        values.pop("num_classes")
        values["seeds"] = self.seeds.to_dict() if self.seeds else None
        names = ("gflops", "image_size", "images_per_second", "latency_ms", "latency_ms_quartiles")
        cost = values.pop("cost") or dict.fromkeys(names)
        return _plain({**values, **{name: cost[name] for name in names}})


@dataclass(frozen=True)
class PairRow:
    """Two runs, and whether they differ significantly.

    Attributes:
        first, second: names of the runs.
        test: McNemar's test of the two.
        p_value_holm: its p value, adjusted for all pairs of the comparison.
        interval: of the difference, at the level of Holm's procedure: without 0 where the adjusted p is below 0.05.
        level: of the interval; 0.95 where there are no other pairs.
    """

    first: str
    second: str
    test: PairedTest
    p_value_holm: float
    interval: tuple[float, float]
    level: float

    @property
    def difference(self) -> float:
        """Return the accuracy of the first minus that of the second."""
        return self.test.difference

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with those of the test beside the others."""
        test = asdict(self.test)
        holm = {"p_value_holm": self.p_value_holm, "difference_ci_holm": self.interval, "level_holm": self.level}
        return _plain({"first": self.first, "second": self.second, **test, **holm})


@dataclass(frozen=True)
class SeedPairRow:
    """Two runs over several seeds each, and whether their means differ significantly.

    Attributes:
        first, second: names of the runs.
        difference: mean test accuracy of the first minus that of the second.
        p_value_holm: of Welch's t test, adjusted for all such pairs; None where no seed of either differs.
        interval: of the difference, of the same test, without 0 where the adjusted p is below 0.05.
        level: of the interval.
    """

    first: str
    second: str
    difference: float
    p_value_holm: float | None
    interval: tuple[float, float] | None
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return _plain(asdict(self))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

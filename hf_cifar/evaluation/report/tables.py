"""Rows and values of the report's tables, ready to be shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hf_cifar.evaluation import wording
from hf_cifar.evaluation.figures.confusion import MAX_NAMED
from hf_cifar.evaluation.figures.per_class import classes_by_recall, recall_interval
from hf_cifar.evaluation.figures.robustness import corruptions_by_accuracy
from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.run.stage_metrics import SPLITS, Hardware, Robustness, StageMetrics
from hf_cifar.run.train_summary import FinetuneSummary, ProbeSummary
from hf_cifar.run.wording import describe_split, describe_start, describe_without_leaks
from hf_cifar.utils.formatting import MISSING, counted, duration, error, interval, number, percent

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Headline:
    """Head of the page.

    Attributes:
        stage, split: names.
        accuracy, interval: in percent.
        num_images: with thousands separated.
        bar: positions of accuracy, lower bound and width of the interval in the bar, in percent without the sign.
        tiles: name and value of a few more metrics.
    """

    stage: str
    split: str
    accuracy: str
    interval: str
    num_images: str
    bar: tuple[str, str, str]
    tiles: Rows


@dataclass(frozen=True)
class SplitTable:
    """Metrics side by side.

    Attributes:
        columns: names of the splits.
        rows: name of the metric, and a value for each split.
    """

    columns: list[str]
    rows: list[tuple[str, list[str]]]

    @property
    def flat(self) -> list[list[str]]:
        """Return the rows as cells alone."""
        return [[name, *values] for name, values in self.rows]


@dataclass(frozen=True)
class ClassRow:
    """One row of the table of classes."""

    name: str
    recall: str
    interval: str
    precision: str
    f1: str
    num_images: str


@dataclass(frozen=True)
class CorruptionTable:
    """Accuracy by corruption and severity.

    Attributes:
        severities: headings.
        rows: name of the corruption, and its accuracies.
    """

    severities: list[str]
    rows: list[tuple[str, list[str]]]

    @property
    def flat(self) -> list[list[str]]:
        """Return the rows as cells alone."""
        return [[name, *values] for name, values in self.rows]


def headline(metrics: StageMetrics) -> Headline:
    """Return the head of the page."""
    test = metrics.test
    low, high = test.accuracy_ci95
    tiles = [("balanced accuracy", percent(test.balanced_accuracy))] if test.is_imbalanced else []
    tiles += wording.macro_f1(test)
    if len(test.per_class) > 5:
        tiles.append(("top-5 accuracy", percent(test.top5_accuracy, test.num_examples)))
    tiles += [("ECE", error(test.ece)), ("NLL (nats)", error(test.nll))]
    return Headline(
        stage=wording.STAGES.get(metrics.stage, metrics.stage),
        split=metrics.split,
        accuracy=percent(test.accuracy, test.num_examples),
        interval=interval(test.accuracy_ci95, test.num_examples),
        num_images=number(test.num_examples),
        bar=(f"{100 * test.accuracy:.2f}", f"{100 * low:.2f}", f"{100 * (high - low):.2f}"),
        tiles=tiles,
    )


def setup_rows(metrics: StageMetrics) -> Rows:
    """Return model, data and seed."""
    data = metrics.dataset
    rows = [
        ("Model", metrics.model),
        ("Base model", metrics.base_model),
        ("Model folder", metrics.model_dir),
        ("Dataset", data.id),
        ("Revision", data.revision),
        ("Fingerprint", data.fingerprint),
        ("Evaluated split", metrics.split if metrics.train is None else None),
        *((split.capitalize(), _images(metrics, split)) for split in reversed(SPLITS)),
        ("Seen in training", _seen(metrics)),
        ("Accuracy without leaks", _without_leaks(metrics)),
        ("Temperature", metrics.temperature_origin),
        ("Classes", number(len(metrics.test.per_class))),
        ("Seed", str(metrics.seed)),
    ]
    return _known(rows)


def _images(metrics: StageMetrics, split: str) -> str | None:
    """Return the number of images of a split and where they come from."""
    data = metrics.dataset
    count = data.count(split)
    if count is None:
        return None
    origin = f": {describe_split(data.splits[split])}" if split in data.splits else ""
    num_corrupt = data.num_corrupt.get(split, 0)
    return f"{count:,} images{origin}" + (
        f"; {counted(num_corrupt, 'unreadable image')} left out" if num_corrupt else ""
    )


def _seen(metrics: StageMetrics) -> str | None:
    """Return how many evaluated images are training images of the model too; None where that is not known."""
    data = metrics.dataset
    left_out = f"{data.num_left_out:,} training images of the model left out" if data.num_left_out else ""
    if data.num_trained_on is None:
        return left_out or None
    identical = f"{data.num_trained_on:,} evaluated images are identical to training images of the model"
    return "; ".join(filter(None, (identical, left_out)))


def _without_leaks(metrics: StageMetrics) -> str | None:
    part = metrics.without_leaks
    if part is None:
        return None
    return (
        f"{describe_without_leaks(part)}; twins as an audit lists them (cosine of features of {part.audited_with} from "
        f"{part.near_cosine:g}, perceptual hashes within {part.near_hash} of 128 bits)"
    )


def split_table(metrics: StageMetrics) -> SplitTable:
    """Return the metrics of test and, where there is one, of validation."""
    splits = {metrics.split: metrics.test}
    if metrics.validation is not None:
        splits["validation"] = metrics.validation
    parts = list(splits.values())
    wanted: list[tuple[str, Callable[[SplitMetrics], str]]] = [
        ("images", lambda part: number(part.num_examples)),
        ("accuracy", lambda part: percent(part.accuracy, part.num_examples)),
        ("95% interval", lambda part: interval(part.accuracy_ci95, part.num_examples)),
    ]
    if any(part.is_imbalanced for part in parts):
        wanted.append(("balanced accuracy", lambda part: percent(part.balanced_accuracy, part.num_examples)))
    wanted.append((wording.F1_MACRO, lambda part: percent(part.f1_macro)))
    if any(wording.differs(part) for part in parts):
        wanted.append((wording.F1_MACRO_PRESENT, lambda part: percent(part.f1_macro_present)))
    if len(metrics.test.per_class) > 5:
        wanted.append(("top-5 accuracy", lambda part: percent(part.top5_accuracy, part.num_examples)))
    wanted += [("NLL (nats)", lambda part: error(part.nll)), ("ECE", lambda part: error(part.ece))]
    if all(part.temperature is not None for part in parts):
        wanted += [
            ("temperature", lambda part: f"{part.temperature:.3f}"),
            ("NLL, calibrated", lambda part: error(part.nll_calibrated)),
            ("ECE, calibrated", lambda part: error(part.ece_calibrated)),
        ]
    return SplitTable(list(splits), [(name, [write(part) for part in parts]) for name, write in wanted])


def class_rows(split: SplitMetrics) -> list[ClassRow]:
    """Return the metrics of each class, lowest recall first; of many classes with their index."""
    indices = {name: index for index, name in enumerate(split.per_class)}
    rows = []
    for name, metrics in classes_by_recall(split):
        count, has_images = metrics.num_examples, metrics.num_examples > 0
        rows.append(
            ClassRow(
                name=name if len(indices) <= MAX_NAMED else f"{indices[name]}: {name}",
                recall=percent(metrics.recall, count) if has_images else MISSING,
                interval=interval(recall_interval(metrics), count) if has_images else MISSING,
                precision=percent(metrics.precision),
                f1=percent(metrics.f1) if has_images else MISSING,
                num_images=number(count),
            )
        )
    return rows


def corruption_table(robustness: Robustness) -> CorruptionTable:
    """Return the accuracy under each corruption, lowest mean first."""
    rows = [
        (name.replace("_", " "), [percent(value, robustness.num_examples) for value in values])
        for name, values in corruptions_by_accuracy(robustness)
    ]
    return CorruptionTable([str(index + 1) for index in range(len(rows[0][1]))], rows)


def ood_rows(ood: OodMetrics) -> list[tuple[str, list[str]]]:
    """Return what a score was compared with, and how well it tells each apart."""
    return [
        (item.title, [number(item.num_examples), item.shown_auroc, percent(item.fpr95, item.num_examples)])
        for item in ood.compared
    ]


def training_rows(metrics: StageMetrics) -> Rows:
    """Return how the model was trained; nothing for an evaluation."""
    train = metrics.train
    if train is None:
        return []
    own = _probe_rows(train) if isinstance(train, ProbeSummary) else []
    own = _finetune_rows(train) if isinstance(train, FinetuneSummary) else own
    num_validation = metrics.validation.num_examples if metrics.validation else 0
    return _known(
        [
            *own,
            ("Augmentation", wording.describe_augmentation(train.augmentation)),
            ("Classes of unequal size", wording.describe_balancing(train.balancing)),
            ("Epochs", None if train.epochs is None else number(train.epochs)),
            ("Selected on validation", wording.describe_chosen(train.chosen, num_validation)),
            ("Trainable parameters", f"{number(train.trainable_parameters)} of {number(train.total_parameters)}"),
        ]
    )


def cost_rows(metrics: StageMetrics) -> Rows:
    """Return when the stage was done, on what, and what it took."""
    train = metrics.train
    rows: list[tuple[str, str | None]] = [("Finished", metrics.finished)]
    rows += _hardware_rows(metrics.hardware)
    if train is None:
        return _known([*rows, ("Time", duration(metrics.seconds) if metrics.seconds else None)])
    if isinstance(train, ProbeSummary):
        rows.append(("Images through the backbone", wording.describe_images_read(train.images_through_backbone)))
        rows.append(("Feature extraction time", duration(train.feature_seconds)))
        rows.append(("Head training time", duration(train.head_seconds)))
    if isinstance(train, FinetuneSummary):
        rows.append(("Training time", duration(train.training_seconds)))
    return _known(
        [
            *rows,
            ("Stage time, predictions included", duration(train.seconds)),
            ("Training throughput", f"{train.images_per_second:,.0f} images/s"),
            ("Processes", number(train.processes)),
            ("Peak memory", f"{train.peak_memory_mb:,.0f} MB"),
        ]
    )


def _probe_rows(train: ProbeSummary) -> list[tuple[str, str | None]]:
    return [
        ("Solver", train.solver),
        ("Features", train.features),
    ]


def _finetune_rows(train: FinetuneSummary) -> list[tuple[str, str | None]]:
    return [
        ("Starting point", describe_start(train.start)),
        ("Unfrozen", train.unfreeze),
        ("BatchNorm", train.bn),
        ("Optimizer", train.optimizer),
        ("Learning rate", number(train.learning_rate)),
        ("Scheduler", train.scheduler),
    ]


def _hardware_rows(hardware: Hardware | None) -> list[tuple[str, str | None]]:
    if hardware is None:
        return []
    cpu = ", ".join(filter(None, (hardware.cpu, f"{hardware.cores} cores" if hardware.cores else None)))
    return [("Device", hardware.device), ("CPU", cpu or None)]


def _known(rows: Sequence[tuple[str, str | None]]) -> Rows:
    return [(name, value) for name, value in rows if value]

"""The tables of a model card, as Markdown."""

from collections.abc import Sequence

from hf_cifar.evaluation.formats.table import format_table
from hf_cifar.hub.card.data import CardData
from hf_cifar.hub.card.markdown import bold, plain
from hf_cifar.run.split_metrics import ClassMetrics, SplitMetrics
from hf_cifar.run.wording import describe_split
from hf_cifar.utils.formatting import error, interval, percent
from hf_cifar.utils.table import Table

MAX_CLASSES = 20
NUM_WORST = 8  # shown where there are more
STAGES = {"probe": "linear probe", "finetune": "fine-tuned"}


def results(data: CardData) -> str:
    """Return the metrics on test and validation, beside those of the run's other stage on test."""
    own = STAGES[data.stage.name]
    columns: list[tuple[str, SplitMetrics]] = [(bold(f"{own}, test"), data.test)]
    if data.other is not None:
        other = (f"{STAGES[data.other.name]}, test", data.other.metrics.test)
        columns.insert(0 if data.other.name == "probe" else 1, other)
    columns.append((f"{own}, validation", data.stage.validation))
    splits = [split for _, split in columns]
    rows = [
        ["Images", *(f"{split.num_examples:,}" for split in splits)],
        ["Accuracy", *(bold(percent(item.accuracy, item.num_examples), item is data.test) for item in splits)],
        ["95% interval", *(interval(item.accuracy_ci95, item.num_examples) for item in splits)],
    ]
    if any(item.is_imbalanced for item in splits):
        rows.append(["Balanced accuracy", *(percent(item.balanced_accuracy, item.num_examples) for item in splits)])
    rows.append(["Macro F1", *(percent(item.f1_macro, item.num_examples) for item in splits)])
    if len(data.test.label_names) > 5:
        rows.append(["Top-5 accuracy", *(percent(item.top5_accuracy, item.num_examples) for item in splits)])
    divided = data.metrics.head_divided_by is not None
    plain, scaled = ("before temperature scaling", "as exported") if divided else ("", "temperature-scaled")
    rows.append([_named("Negative log-likelihood", plain), *(error(split.nll) for split in splits)])
    rows.append([_named("Expected calibration error", plain), *(error(split.ece) for split in splits)])
    if data.test.temperature is not None:
        rows.append([f"ECE, {scaled}", *(error(split.ece_calibrated) for split in splits)])
    return _markdown(["", *(name for name, _ in columns)], rows)


def formats(data: CardData) -> str:
    """Return the forms of the model that the folder holds, as they were measured; empty where there is one alone."""
    metrics = data.metrics.formats
    if metrics is None:
        return ""
    return format_table(metrics, exported_only=True).markdown()


def per_class(data: CardData) -> str:
    """Return precision, recall and F1 of each class; of many classes only those with the lowest F1, worst first."""
    counts = data.dataset.train_per_class
    rows = []
    for name, item in _shown_classes(data):
        # Nothing was measured for a class without images.
        values = [value if item.num_examples else None for value in (item.precision, item.recall, item.f1)]
        images = [f"{counts[name]:,}"] if counts else []
        rows.append([plain(name), *(percent(value) for value in values), *images, f"{item.num_examples:,}"])
    images = ["Training images", "Test images"] if counts else ["Test images"]
    return _markdown(["Class", "Precision", "Recall", "F1", *images], rows)


def num_hidden_classes(data: CardData) -> int:
    """Return how many classes `per_class` leaves out."""
    return max(0, len(data.test.per_class) - len(_shown_classes(data)))


def robustness(data: CardData) -> str:
    """Return the accuracy under each corruption and severity; empty where it was not measured."""
    section = data.metrics.robustness
    if section is None:
        return ""
    rows = [
        [plain(name.replace("_", " ")), *(percent(value, section.num_examples) for value in values)]
        for name, values in section.corruptions.items()
    ]
    return _markdown(["Corruption", *(f"severity {level + 1}" for level in range(len(rows[0]) - 1))], rows)


def ood(data: CardData) -> str:
    """Return how well a score tells other images apart; empty where it was not measured."""
    section = data.metrics.ood
    if section is None:
        return ""
    rows = [
        [plain(item.title), f"{item.num_examples:,}", item.shown_auroc, percent(item.fpr95, item.num_examples)]
        for item in section.compared
    ]
    return _markdown(["Images", "Number", "AUROC", "FPR at 95 % TPR"], rows)


def splits(data: CardData) -> str:
    """Return the origin and size of each split."""
    uses = {"train": "training", "validation": "selection and calibration", "test": "final evaluation only"}
    rows = [
        [name, plain(describe_split(data.dataset.splits[name])), use, f"{data.dataset.count(name) or 0:,}"]
        for name, use in uses.items()
    ]
    return _markdown(["Split", "Source", "Used for", "Images"], rows, 3)


def _shown_classes(data: CardData) -> list[tuple[str, ClassMetrics]]:
    entries = list(data.test.per_class.items())
    if len(entries) <= MAX_CLASSES:
        return entries
    return sorted(entries, key=lambda entry: (not entry[1].num_examples, entry[1].f1, entry[0]))[:NUM_WORST]


def _named(name: str, addition: str) -> str:
    return f"{name}, {addition}" if addition else name


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], num_text_columns: int = 1) -> str:
    return Table(columns, rows, num_text_columns).markdown(escaped=False)

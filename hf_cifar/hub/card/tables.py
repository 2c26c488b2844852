"""The tables of a model card, as Markdown."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from hf_cifar.hub.card.data import CardData, StageData
from hf_cifar.hub.card.markdown import NOTHING, bold, listed, loss, percent, plain, points, table

MOST_CLASSES = 30
MOST_PAIRS = 10
MOST_MISTAKES = 5
MOST_ROWS = 100
THRESHOLDS = (0.5, 0.7, 0.9, 0.95, 0.99)


def results(data: CardData) -> str:
    """Every metric of this model on test and validation, beside those of the run's other stage on test."""
    names = {"probe": "linear probe", "finetune": "fine-tuned"}
    columns = [(f"{names[data.stage.name]}, test", data.test, True)]
    if data.other is not None:
        other = (f"{names[data.other.name]}, test", data.other.metrics["test"], False)
        columns.insert(0 if data.other.name == "probe" else 1, other)
    columns.append((f"{names[data.stage.name]}, validation", data.stage.metrics["validation"], False))
    head = ["", *(bold(title, own) for title, _, own in columns)]
    rows = [["Images", *(f"{section['num_examples']:,}" for _, section, _ in columns)]]
    rows.append(["Accuracy", *(bold(_share(section, "accuracy"), own) for _, section, own in columns)])
    rows.append(["95 % interval of the accuracy", *(interval(section) for _, section, _ in columns)])
    rows.append(["Macro F1", *(_share(section, "f1_macro") for _, section, _ in columns)])
    if len(data.label_names) > 5:
        rows.append(["Top-5 accuracy", *(_share(each, "top5_accuracy") for _, each, _ in columns)])
    losses = {"nll": "Negative log-likelihood (nats)", "ece": "Expected calibration error (15 bins)"}
    rows += [[title, *(loss(section.get(key)) for _, section, _ in columns)] for key, title in losses.items()]
    if data.test.get("temperature") is not None:
        for key, title in losses.items():
            rows.append(
                [f"{title}, with temperature", *(loss(each.get(f"{key}_calibrated")) for _, each, _ in columns)]
            )
    return table(head, rows)


def interval(section: dict[str, Any]) -> str:
    """The 95 % interval of a split's accuracy."""
    low, high = section["accuracy_ci95"]
    count = section["num_examples"]
    return f"{points(low, count)} to {percent(high, count)}"


def gain(data: CardData) -> str | None:
    """What fine-tuning did for the images of test, where the predictions of both stages are there."""
    probe, tuned = data.stages[0], data.stage
    if not data.lpft:
        return None
    before, after = (_predictions(data.folder.path.parent / stage.name) for stage in (probe, tuned))
    if tuned.metrics["train"]["chosen"].get("interpolation") == 0:
        return "Interpolation went back to the weights of the probe (strength 0): this model answers as the probe does."
    if before is None or after is None or not np.array_equal(before["index"], after["index"]):
        return None
    was, now = (each["prediction"] == each["label"] for each in (before, after))
    return (
        f"Of the {len(now):,} test images {int((now & ~was).sum()):,} are answered correctly only after fine-tuning, "
        f"and {int((was & ~now).sum()):,} only before it."
    )


def per_class(data: CardData) -> tuple[str, int]:
    """Precision, recall and F1 of the classes on test, and how many classes are left out.

    Where there are many, only those of the lowest F1 are shown, worst first.
    """
    entries = list(data.test["per_class"].items())
    if len(entries) > MOST_CLASSES:
        entries = sorted(entries, key=lambda entry: (not entry[1]["num_examples"], entry[1]["f1"], entry[0]))
        entries = entries[:MOST_CLASSES]
    rows = []
    for name, each in entries:
        # Of a class without images nothing was measured.
        values = [percent(each[key] if each["num_examples"] else None) for key in ("precision", "recall", "f1")]
        rows.append([plain(name), *values, f"{each['num_examples']:,}"])
    head = ["Class", "Precision", "Recall", "F1", "Test images"]
    return table(head, rows), len(data.label_names) - len(entries)


def confused_pairs(data: CardData) -> str | None:
    """The pairs of classes that are confused most often."""
    pairs = [pair for pair in data.test.get("confused_pairs") or [] if pair["count"]][:MOST_PAIRS]
    rows = [
        [plain(pair["label"]), plain(pair["prediction"]), f"{pair['count']:,}", percent(pair["share"])]
        for pair in pairs
    ]
    return table(["Right label", "Answer", "Images", "Share of the label's images"], rows, left=2) if rows else None


def worst_mistakes(data: CardData) -> str | None:
    """The mistakes with the lowest score of the right label."""
    rows = [
        [
            row["index"],
            plain(row["label"]),
            plain(row["prediction"]),
            percent(float(row["prediction_probability"])),
            percent(float(row["label_probability"])),
        ]
        for row in data.mistakes[:MOST_MISTAKES]
    ]
    head = [
        f"Row of {plain(data.splits['test']['split'])}",
        "Right label",
        "Answer",
        "Its score",
        "Score of the right label",
    ]
    return table(head, rows, left=3) if rows else None


def thresholds(data: CardData) -> str | None:
    """How many test images are answered with at least some score, and how many of those answers are right."""
    found = _predictions(data.folder.path)
    if found is None:
        return None
    scores, right = found["score"], found["prediction"] == found["label"]
    rows = []
    for threshold in THRESHOLDS:
        taken = scores >= threshold
        if taken.any():
            accuracy = percent(float(right[taken].mean()), int(taken.sum()))
            rows.append([f"{threshold:g}", percent(float(taken.mean()), len(taken)), f"{int(taken.sum()):,}", accuracy])
    return table(["Score of at least", "Share answered", "Images", "Accuracy of those"], rows) if rows else None


def robustness(data: CardData) -> str | None:
    """Accuracy under each corruption and severity."""
    section = data.stage.metrics.get("robustness")
    if not section:
        return None
    count = section["num_examples"]
    severities = range(1, 1 + max(len(values) for values in section["corruptions"].values()))
    rows = [
        [plain(name.replace("_", " ")), *(percent(value, count) for value in values)]
        for name, values in section["corruptions"].items()
    ]
    return table(["Corruption", *(f"severity {number}" for number in severities)], rows)


def grid(data: CardData, stage: StageData) -> str | None:
    """What a probe chose from: each head, or each strength, with its validation accuracy at the end."""
    if stage.name != "probe" or not stage.history:
        return None
    kept = stage.metrics["train"]["chosen"]
    if stage.metrics["train"]["solver"] == "lbfgs":
        rows = []
        for row in stage.history:
            own = math.isclose(float(row["strength"]), kept["strength"])
            cells = [f"{float(row['strength']):g}", row["iterations"], _fixed(row["loss"])]
            cells += [_percent_cell(row["validation_accuracy"]), _fixed(row["validation_nll"])]
            rows.append([bold(cell, own) for cell in cells])
        return table(["L2 strength", "Iterations", "Training loss", "Validation accuracy", "Validation NLL"], rows)
    last = stage.history[-1]
    start = "validation_accuracy/"
    rows = []
    for name, value in last.items():
        if name.startswith(start):
            own = f"{kept['learning_rate']:g}" == name.removeprefix(start)
            rows.append([bold(cell, own) for cell in (name.removeprefix(start), _percent_cell(value))])
    return table(["Learning rate", "Validation accuracy after the last epoch"], rows) if rows else None


def log(stage: StageData) -> tuple[str, int] | None:
    """The training log, the kept epoch in bold, and how many of its rows are left out; None for L-BFGS."""
    history = stage.history
    if not history or "epoch" not in history[0]:
        return None
    kept = stage.metrics["train"]["chosen"].get("step")
    shown = history
    if len(shown) > MOST_ROWS:
        shown = [row for row in history if row.get("validation_accuracy")]
    if len(shown) > MOST_ROWS:
        every = math.ceil(len(shown) / MOST_ROWS)
        shown = [
            row for place, row in enumerate(shown, 1) if place % every == 0 or place == len(shown) or _is(row, kept)
        ]
    rates = [name for name in history[0] if name == "learning_rate" or name.startswith("learning_rate/")]
    heads = [name for name in history[0] if name.startswith("validation_accuracy/")]
    if heads:
        # The metrics beside them are those of the best head at that time.
        best = f"validation_accuracy/{stage.metrics['train']['chosen']['learning_rate']:g}"
        columns = [(bold(f"rate {name.partition('/')[2]}", name == best), name) for name in heads]
    else:
        titles = {
            "validation_accuracy": "Validation accuracy",
            "validation_f1_macro": "Macro F1",
            "validation_nll": "NLL",
        }
        columns = [(title, name) for name, title in titles.items() if name in history[0]]
    head = ["Epoch", "Step", "Loss, mean of the heads" if heads else "Training loss"]
    head += ([] if heads else ["Learning rate"]) + [title for title, _ in columns]
    rows = []
    for row in shown:
        cells = [f"{float(row['epoch']):g}", row["step"], _fixed(row.get("loss"))]
        cells += [] if heads else [_rates([row[name] for name in rates])]
        cells += [(_fixed if name.endswith("nll") else _percent_cell)(row[name]) for _, name in columns]
        rows.append([bold(cell, _is(row, kept)) for cell in cells])
    return table(head, rows), len(history) - len(shown)


def examples(data: CardData) -> str | None:
    """The example images with what the model says of them."""
    rows = []
    for example in data.examples:
        answer = example["output"][0]
        picture = f"![{plain(example['label'])}](examples/{quote(example['file'])})"
        rows.append([picture, plain(example["label"]), plain(answer["label"]), percent(answer["score"])])
    return table(["Test image", "Right label", "Answer", "Score"], rows, left=3) if rows else None


def class_counts(data: CardData) -> tuple[str, bool]:
    """How many images of each class the splits hold: a sentence, or a table where they are not equal (then True)."""
    train = data.stage.metrics["dataset"].get("train_per_class")
    counts: dict[str, dict[str, int]] = {"train": train} if train else {}
    for title, section in (("validation", data.stage.metrics["validation"]), ("test", data.test)):
        counts[title] = {name: each["num_examples"] for name, each in section["per_class"].items()}
    if all(len(set(count.values())) == 1 for count in counts.values()):
        words = [f"{next(iter(count.values())):,} images in {title}" for title, count in counts.items()]
        return f"Each class has {listed(words)}.", False
    rows = [[plain(name), *(f"{count[name]:,}" for count in counts.values())] for name in data.label_names]
    return table(["Class", *counts], rows), True


def label_list(data: CardData) -> str:
    """The numbers of the logits and their labels."""
    return table(["Logit", "Label"], [[str(n), plain(name)] for n, name in enumerate(data.label_names)], left=2)


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Settings and their values."""
    return table(["Setting", "Value"], rows, left=2)


def options(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Options, what they are for, their values and who gave them."""
    return table(["Option", "For", "Value", "Given by"], rows, left=4)


def versions(data: CardData) -> str:
    """Of the libraries."""
    return ", ".join(f"{plain(name)} {plain(value)}" for name, value in data.stage.metrics["versions"].items())


def figure(name: str, alt: str) -> str:
    """A picture of the repository."""
    return f"![{plain(alt)}](figures/{name})"


def _predictions(folder: Path) -> dict[str, np.ndarray] | None:
    import pyarrow.parquet as pq

    file = folder / "predictions.parquet"
    if not file.is_file():
        return None
    rows = pq.read_table(file)
    found = {name: rows[name].to_numpy() for name in ("index", "label", "prediction")}
    found["score"] = np.stack(rows["probabilities"].to_numpy()).max(axis=1)
    return found


def _share(section: dict[str, Any], key: str) -> str:
    return percent(section.get(key), section["num_examples"])


def _is(row: dict[str, str], step: int | None) -> bool:
    return step is not None and row.get("step") not in (None, "") and int(float(row["step"])) == step


def _fixed(value: str | None) -> str:
    """A loss of the log, to four decimals."""
    if value in (None, "") or not math.isfinite(float(value)):
        return NOTHING
    return loss(float(value))


def _percent_cell(value: str | None) -> str:
    return NOTHING if value in (None, "") else percent(float(value))


def _rates(values: Sequence[str]) -> str:
    """The learning rate now, or the lowest and highest of the layer groups."""
    found = [float(value) for value in values if value]
    if not found:
        return NOTHING
    low, high = min(found), max(found)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"

"""A finished stage as a notebook shows it: how good it is, what to be careful about, its worst mistakes and figures."""

import csv
from collections.abc import Mapping
from html import escape
from itertools import islice
from pathlib import Path

from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.verdicts import findings
from hf_cifar.utils.formatting import data_uri, error, interval, percent
from hf_cifar.utils.table import Table

# A notebook keeps a copy of each; the others are in the report.
SHOWN_FIGURES = ("mistakes", "confusion_matrix", "learning_curves")
SHOWN_MISTAKES = 5


def stage_html(stage: str, metrics: StageMetrics, folder: StageFolder, figures: Mapping[str, Path]) -> str:
    """Return the stage in HTML that needs no style of its own, in light and in dark.

    Args:
        stage: its name.
        metrics: what was measured.
        folder: of the stage.
        figures: PNG files by name.
    """
    test, count = metrics.test, metrics.test.num_examples
    title = f"{stage}: {percent(test.accuracy, count)} {metrics.split} accuracy"
    parts = [f'<div style="font-size:1.4em;font-weight:600">{escape(title)}</div>', f"<p>{escape(_sure(metrics))}</p>"]
    parts += [f"<p>⚠ {escape(finding.text)}</p>" for finding in findings(metrics)]
    worst = _worst(folder.mistakes)
    if worst:
        columns = ("image", "label", "taken for", "probability")
        parts.append(Table(columns, worst, num_text_columns=3, title="Worst mistakes").html())
    parts += [
        f'<figure style="display:inline-block;margin:4px;vertical-align:top"><img alt="{escape(name)}" '
        f'style="max-width:100%;max-height:420px" src="{data_uri(figures[name])}"></figure>'
        for name in SHOWN_FIGURES
        if name in figures
    ]
    if folder.report.is_file():
        path = escape(str(folder.report))
        parts.append(f'<p>Everything else: <a href="{path}"><code>{path}</code></a></p>')
    return f"<div>{''.join(parts)}</div>"


def _sure(metrics: StageMetrics) -> str:
    """Return how sure the accuracy is, and what stands beside it."""
    test = metrics.test
    words = [f"95% CI {interval(test.accuracy_ci95, test.num_examples)} over {test.num_examples:,} images"]
    if test.is_imbalanced:
        words.append(f"balanced accuracy {percent(test.balanced_accuracy, test.num_examples)}")
    words += [f"macro F1 {percent(test.f1_macro, test.num_examples)}", f"ECE {error(test.ece)}"]
    if metrics.validation is not None:
        words.append(f"validation {percent(metrics.validation.accuracy, metrics.validation.num_examples)}")
    return ", ".join(words)


def _worst(path: Path) -> list[tuple[str, str, str, str]]:
    """Return the worst mistakes of a `mistakes.csv`, as cells."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (row["file"], row["label"], row["prediction"], percent(float(row["prediction_probability"])))
            for row in islice(csv.DictReader(file), SHOWN_MISTAKES)
        ]

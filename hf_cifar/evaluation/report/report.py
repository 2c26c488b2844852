"""Write the HTML report: one page with everything about a stage."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.evaluation import wording
from hf_cifar.evaluation.figures.registry import FIGURES, MAX_IMAGES, THUMBNAILS, Section
from hf_cifar.evaluation.formats.table import describe_measuring, describe_operators, faults, format_table
from hf_cifar.evaluation.history import History, read_history
from hf_cifar.evaluation.image_table import ImageRow, read_image_table
from hf_cifar.evaluation.report import tables
from hf_cifar.evaluation.seeds import describe_seeds, seed_table
from hf_cifar.run.stage_folder import RUN_FILE, StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.verdicts import findings
from hf_cifar.utils.files import write_text
from hf_cifar.utils.formatting import MIME_TYPES, data_uri, percent

if TYPE_CHECKING:
    from jinja2 import Template

# Their images are shown one by one instead.
AS_THUMBNAILS = (Section.MISTAKES, Section.LABEL_ERRORS)
MAX_UNFOLDED = 30  # classes; a longer table is folded


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure as a data URI, with its alternative text."""

    name: str
    source: str
    alternative: str


@dataclass(frozen=True)
class EmbeddedImage:
    """A thumbnail as a data URI, with its prediction.

    Attributes:
        row: label and prediction.
        source: the data URI.
        probability, label_probability: in percent.
        is_tiny: whether it is to be enlarged pixel by pixel.
    """

    row: ImageRow
    source: str
    probability: str
    label_probability: str
    is_tiny: bool


def write_report(folder: StageFolder, metrics: StageMetrics | None = None) -> Path:
    """Write `report.html` from what a stage left in its folder, and return its path.

    Missing figures and tables are left out; `save_figures` draws the figures.

    Args:
        folder: of the stage.
        metrics: of the stage, where `metrics.json` is not written yet.

    Raises:
        InputError: there are no metrics, or the file is damaged.
    """
    if metrics is None:
        metrics = StageMetrics.read(folder.metrics)
    paths = {figure.name: folder.figures / figure.file for figure in FIGURES}
    page = render(
        folder.path.resolve().parent.name,
        metrics,
        history=read_history(folder.history),
        mistakes=read_image_table(folder.mistakes, MAX_IMAGES),
        label_errors=read_image_table(folder.label_errors, MAX_IMAGES),
        figures={name: data_uri(path) for name, path in paths.items() if path.is_file()},
        thumbnails={
            int(path.stem): data_uri(path)
            for path in sorted((folder.figures / THUMBNAILS).glob("[0-9]*"))
            if path.suffix in MIME_TYPES
        },
        repeatable=(folder.path.parent / RUN_FILE).is_file(),
    )
    write_text(folder.report, page)
    return folder.report


def render(
    run: str,
    metrics: StageMetrics,
    *,
    history: History = (),
    mistakes: Sequence[ImageRow] = (),
    label_errors: Sequence[ImageRow] = (),
    figures: Mapping[str, str] | None = None,
    thumbnails: Mapping[int, str] | None = None,
    repeatable: bool = False,
) -> str:
    """Return the page as HTML that opens offline, loads nothing and runs no script.

    Args:
        run: the name of the run.
        metrics: of the stage.
        history: rows of `history.csv`.
        mistakes, label_errors: rows that are shown.
        figures: PNGs as data URIs, by their names in the registry.
        thumbnails: images as data URIs, by row of the split; a row without one is left out.
        repeatable: whether the folder of the run holds the `run.yaml` that repeats it.
    """
    test, thumbnails = metrics.test, thumbnails or {}
    worst, suspected = (_with_images(rows, thumbnails) for rows in (mistakes, label_errors))
    robustness = metrics.robustness
    return _template().render(
        run=run,
        metrics=metrics,
        sections=_sections(metrics, bool(worst), bool(suspected)),
        max_unfolded=MAX_UNFOLDED,
        figures=_embedded_figures(metrics, history, figures or {}),
        headline=tables.headline(metrics),
        setup=tables.setup_rows(metrics),
        splits=tables.split_table(metrics),
        findings=[finding.text for finding in findings(metrics)],
        seeds=seed_table(metrics.seeds) if metrics.seeds else None,
        seeds_text=describe_seeds(metrics.seeds) if metrics.seeds else "",
        notes=[note for note in (wording.describe_selection(metrics), wording.describe_macro_f1(test)) if note],
        calibration=[
            *wording.describe_calibration(test),
            *wording.describe_prediction_sets(metrics),
            *_of_export(metrics),
        ],
        classes=tables.class_rows(test),
        pairs=tables.pair_rows(test),
        mistakes=worst,
        label_errors=suspected,
        robustness=tables.corruption_table(robustness) if robustness else None,
        formats=format_table(metrics.formats) if metrics.formats else None,
        formats_text=_formats_text(metrics),
        ood=tables.ood_rows(metrics.ood) if metrics.ood else None,
        ood_text=wording.describe_ood(metrics.ood, metrics.split) if metrics.ood else [],
        robustness_text=wording.describe_corruptions(robustness) if robustness else "",
        training=tables.training_rows(metrics),
        versions=list(metrics.versions.items()),
        repeatable=repeatable,
    )


def _embedded_figures(
    metrics: StageMetrics, history: History, sources: Mapping[str, str]
) -> dict[str, list[EmbeddedFigure]]:
    """Return the figures of each section."""
    embedded: dict[str, list[EmbeddedFigure]] = {section.value: [] for section in Section}
    for figure in FIGURES:
        alternative = figure.describe(metrics, history)
        if figure.name in sources and alternative is not None and figure.section not in AS_THUMBNAILS:
            embedded[figure.section.value].append(EmbeddedFigure(figure.name, sources[figure.name], alternative))
    return embedded


def _with_images(rows: Sequence[ImageRow], thumbnails: Mapping[int, str]) -> list[EmbeddedImage]:
    """Return the rows that there is a thumbnail of."""
    return [
        EmbeddedImage(
            row=row,
            source=thumbnails[row.index],
            probability=percent(row.prediction_probability, decimals=1),
            label_probability=percent(row.label_probability, decimals=1),
            is_tiny=thumbnails[row.index].startswith("data:image/png"),
        )
        for row in rows
        if row.index in thumbnails
    ]


def _of_export(metrics: StageMetrics) -> list[str]:
    """Return that the exported model is calibrated, where it is."""
    if metrics.head_divided_by is None:
        return []
    return ["In the last export the head is divided by the temperature: what is exported answers calibrated scores."]


def _formats_text(metrics: StageMetrics) -> list[str]:
    """Return what is to be said of the forms of an export."""
    if metrics.formats is None:
        return []
    left_out = [f"Not exported: {line}." for line in faults(metrics.formats)]
    return [describe_measuring(metrics.formats), *describe_operators(metrics.formats), *left_out]


def _sections(metrics: StageMetrics, has_mistakes: bool, has_label_errors: bool) -> list[tuple[str, str]]:
    """Return anchor and title of each section of the page."""
    shown = {
        ("setup", "Setup and metrics"): True,
        (Section.CALIBRATION.value, "Calibration"): True,
        (Section.CLASSES.value, "Classes"): True,
        (Section.CONFUSIONS.value, "Confusions"): True,
        (Section.MISTAKES.value, "Worst mistakes"): has_mistakes,
        (Section.LABEL_ERRORS.value, "Suspected label errors"): has_label_errors,
        (Section.ROBUSTNESS.value, "Robustness"): metrics.robustness is not None,
        ("ood", "Out-of-distribution detection"): metrics.ood is not None,
        ("formats", "Other formats"): metrics.formats is not None,
        (Section.TRAINING.value, "Training"): metrics.train is not None,
        ("reproduce", "Reproducibility"): True,
    }
    return [section for section, is_shown in shown.items() if is_shown]


@functools.cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html")

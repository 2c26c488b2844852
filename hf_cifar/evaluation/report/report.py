"""Write the HTML report: one page with everything about a stage."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from hf_cifar.evaluation import wording
from hf_cifar.evaluation.embedded import EmbeddedImage
from hf_cifar.evaluation.figures.registry import FIGURES, MAX_IMAGES, THUMBNAILS, Section
from hf_cifar.evaluation.formats.table import describe_measuring, describe_operators, faults, format_table
from hf_cifar.evaluation.history import History, read_history
from hf_cifar.evaluation.image_table import ImageRow, read_image_table
from hf_cifar.evaluation.report import tables
from hf_cifar.evaluation.report.baselines import baseline_table
from hf_cifar.evaluation.report.confusion import cell_images, matrix_of, pair_rows
from hf_cifar.evaluation.seeds import describe_seeds, seed_table
from hf_cifar.run.stage_folder import RUN_FILE, StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.verdicts import findings
from hf_cifar.utils.files import write_text
from hf_cifar.utils.formatting import MIME_TYPES, data_uri
from hf_cifar.utils.page.page import page_template

# Their images are shown one by one instead.
AS_THUMBNAILS = (Section.MISTAKES, Section.LABEL_ERRORS)
MAX_UNFOLDED = 30  # classes; a longer table is folded
TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure as a data URI, with its alternative text."""

    name: str
    source: str
    alternative: str


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
        mistakes=read_image_table(folder.mistakes),
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
    """Return the page as HTML that opens offline, loads nothing and runs no script but its own.

    Args:
        run: the name of the run.
        metrics: of the stage.
        history: rows of `history.csv`.
        mistakes: all misclassified images, the worst first.
        label_errors: rows that are shown.
        figures: PNGs as data URIs, by their names in the registry.
        thumbnails: images as data URIs, by row of the split; a row without one is left out.
        repeatable: whether the folder of the run holds the `run.yaml` that repeats it.
    """
    test, thumbnails = metrics.test, thumbnails or {}
    worst, suspected = (_with_images(rows, thumbnails) for rows in (mistakes[:MAX_IMAGES], label_errors))
    robustness, cells = metrics.robustness, cell_images(test, mistakes, thumbnails)
    matrix = matrix_of(test, cells)
    return page_template(TEMPLATE).render(
        run=run,
        metrics=metrics,
        sections=_sections(metrics, bool(worst), bool(suspected)),
        max_unfolded=MAX_UNFOLDED,
        figures=_embedded_figures(metrics, history, figures or {}),
        matrix=matrix,
        matrix_figure=matrix is None or matrix.is_part,
        cells=cells,
        headline=tables.headline(metrics),
        baselines=baseline_table(metrics),
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
        classes=[astuple(row) for row in tables.class_rows(test)],
        pairs=pair_rows(test, cells),
        mistakes=worst,
        label_errors=suspected,
        robustness=tables.corruption_table(robustness) if robustness else None,
        formats=format_table(metrics.formats) if metrics.formats else None,
        formats_text=_formats_text(metrics),
        ood=[(name, *values) for name, values in tables.ood_rows(metrics.ood)] if metrics.ood else None,
        ood_text=wording.describe_ood(metrics.ood, metrics.split) if metrics.ood else [],
        robustness_text=wording.describe_corruptions(robustness) if robustness else "",
        training=tables.training_rows(metrics),
        cost=tables.cost_rows(metrics),
        model_in_python=json.dumps(metrics.model_dir or "./model", ensure_ascii=False),
        model_in_shell=shlex.quote(metrics.model_dir or "./model"),
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
    return [EmbeddedImage.of_mistake(row, thumbnails[row.index]) for row in rows if row.index in thumbnails]


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
        ("result", "Result"): True,
        (Section.MISTAKES.value, "Worst mistakes"): has_mistakes,
        (Section.CONFUSIONS.value, "Confusions"): True,
        (Section.LABEL_ERRORS.value, "Suspected label errors"): has_label_errors,
        (Section.CLASSES.value, "Classes"): True,
        (Section.CALIBRATION.value, "Calibration"): True,
        (Section.ROBUSTNESS.value, "Robustness"): metrics.robustness is not None,
        ("ood", "Out-of-distribution detection"): metrics.ood is not None,
        ("formats", "Other formats"): metrics.formats is not None,
        (Section.TRAINING.value, "Training" if metrics.train is not None else "Model and data"): True,
        ("use", "Use it"): True,
        ("reproduce", "Repeat it"): True,
    }
    return [section for section, is_shown in shown.items() if is_shown]

"""One page that holds all of a stage."""

import base64
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.evaluation import wording as words
from hf_cifar.evaluation.figures.collection import MAX_IMAGES, THUMBNAILS
from hf_cifar.evaluation.figures.confusion import describe_confusion
from hf_cifar.evaluation.figures.curves import describe_curves
from hf_cifar.evaluation.figures.per_class import describe_per_class
from hf_cifar.evaluation.figures.reliability import describe_reliability
from hf_cifar.evaluation.figures.robustness import describe_robustness
from hf_cifar.evaluation.figures.tables import read_doubts, read_history
from hf_cifar.run.stage_folder import RUN_FILE, StageFolder
from hf_cifar.utils.files import write_text

if TYPE_CHECKING:
    from jinja2 import Template

FIGURES = ("learning_curves", "confusion_matrix", "reliability", "per_class", "robustness", "augmentation")
TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def write_report(folder: StageFolder, metrics: dict[str, Any] | None = None) -> Path:
    """Write `report.html` from what a stage left in its folder, and return its path.

    Figures and tables that are not there are left out; `save_figures` makes the figures.

    Args:
        folder: of the stage.
        metrics: the content of metrics.json, where that file is not written yet.
    """
    if metrics is None:
        metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
    figures = {name: folder.figures / f"{name}.png" for name in FIGURES}
    page = render(
        folder.path.resolve().parent.name,
        metrics,
        history=read_history(folder.history),
        mistakes=read_doubts(folder.mistakes, MAX_IMAGES),
        label_errors=read_doubts(folder.label_errors, MAX_IMAGES),
        figures={name: _embedded(path) for name, path in figures.items() if path.is_file()},
        thumbnails={
            int(path.stem): _embedded(path)
            for path in sorted((folder.figures / THUMBNAILS).glob("[0-9]*"))
            if path.suffix in TYPES
        },
        repeatable=(folder.path.parent / RUN_FILE).is_file(),
    )
    write_text(folder.report, page)
    return folder.report


def render(
    run: str,
    metrics: dict[str, Any],
    *,
    history: Sequence[dict[str, float]] = (),
    mistakes: Sequence[dict[str, Any]] = (),
    label_errors: Sequence[dict[str, Any]] = (),
    figures: dict[str, str] | None = None,
    thumbnails: dict[int, str] | None = None,
    repeatable: bool = False,
) -> str:
    """The page as HTML: it opens without a network, asks for nothing from outside and runs no script.

    Args:
        run: the name of the run.
        metrics: the content of metrics.json.
        history: rows of history.csv, without the columns that are empty.
        mistakes: rows of mistakes.csv, those that are shown.
        label_errors: rows of label_errors.csv, those that are shown.
        figures: PNGs as data URIs, by name: those of `save_figures`, and `augmentation`.
        thumbnails: small images as data URIs, by row of the split; a row without one is left out.
        repeatable: whether the folder of the run holds the `run.yaml` that repeats it.
    """
    test, figures, thumbnails = metrics["test"], figures or {}, thumbnails or {}
    chosen = metrics.get("train", {}).get("chosen")
    alternatives = {
        "confusion_matrix": lambda: describe_confusion(test),
        "reliability": lambda: describe_reliability(test),
        "per_class": lambda: describe_per_class(test),
        "robustness": lambda: describe_robustness(metrics["robustness"]),
        "learning_curves": lambda: describe_curves(history, chosen),
        "augmentation": words.augmentation,
    }
    needs = {"robustness": "robustness" in metrics, "learning_curves": bool(history)}
    shown = [_shots(rows, thumbnails) for rows in (mistakes, label_errors)]
    return _template().render(
        run=run,
        stage=metrics["stage"],
        metrics=metrics,
        sections=words.sections(metrics, *map(bool, shown)),
        folded=words.FOLDED,
        figures={
            name: {"source": figures[name], "alternative": describe()}
            for name, describe in alternatives.items()
            if name in figures and needs.get(name, True)
        },
        headline=words.headline(metrics),
        measured=words.measured(metrics),
        beside=words.beside(metrics),
        calibration=words.calibration(test),
        classes=words.classes(test),
        pairs=test.get("confused_pairs", [])[: words.MAX_PAIRS],
        mistakes=shown[0],
        label_errors=shown[1],
        robustness=words.robustness(metrics),
        training=words.training(metrics),
        versions=metrics.get("versions", {}),
        repeatable=repeatable,
    )


def _shots(rows: Sequence[dict[str, Any]], thumbnails: dict[int, str]) -> list[dict[str, Any]]:
    """The rows that there is an image of, with it."""
    return [{**row, "source": thumbnails[row["index"]]} for row in rows if row["index"] in thumbnails]


def _embedded(path: Path) -> str:
    """A file as a data URI."""
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


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
    environment.filters.update(share=words.share, number=words.number)
    return environment.get_template("template.html")

"""All figures of a stage: name, title, place in the report and in the card, alternative text, and how to draw them.

Light on purpose: neither matplotlib nor PyTorch is imported before a figure is drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.evaluation.figures.confusion import confusion_figure, describe_confusion
from hf_cifar.evaluation.figures.curves import curves_figure, describe_curves
from hf_cifar.evaluation.figures.image_grid import predictions_figure
from hf_cifar.evaluation.figures.per_class import describe_per_class, per_class_figure
from hf_cifar.evaluation.figures.reliability import describe_reliability, reliability_figure
from hf_cifar.evaluation.figures.robustness import describe_robustness, robustness_figure
from hf_cifar.evaluation.history import History
from hf_cifar.evaluation.image_table import ImageRow
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.train_summary import Augmentation

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_IMAGES = 24  # worst mistakes, and suspected label errors, that are shown
THUMBNAILS = "images"  # the folder of their thumbnails, beside the figures
EPOCHS_SHOWN = 4  # of augmented training images


class Section(str, Enum):
    """Section of the report and of the card that a figure belongs to."""

    CALIBRATION = "calibration"
    CLASSES = "classes"
    CONFUSIONS = "confusions"
    MISTAKES = "mistakes"
    LABEL_ERRORS = "label-errors"
    ROBUSTNESS = "robustness"
    TRAINING = "training"


@dataclass(frozen=True)
class FigureData:
    """Data that figures are drawn from.

    Attributes:
        metrics: of the stage.
        history: rows of `history.csv`.
        mistakes, label_errors: rows that are shown.
        thumbnails: their images by row of the split.
    """

    metrics: StageMetrics
    history: History = ()
    mistakes: Sequence[ImageRow] = ()
    label_errors: Sequence[ImageRow] = ()
    thumbnails: "Mapping[int, Image]" = field(default_factory=dict)


@dataclass(frozen=True)
class StageFigure:
    """One figure of a stage.

    Attributes:
        name: of the file, without `.png`.
        title: of the figure.
        section: where it belongs.
        describe: returns the alternative text; None where the stage has no data for the figure.
        draw: writes the PNG and returns whether there was anything to draw; None where another step draws it.
    """

    name: str
    title: str
    section: Section
    describe: Callable[[StageMetrics, History], str | None]
    draw: Callable[[Path, FigureData], bool] | None = None

    @property
    def file(self) -> str:
        """Return the name of the PNG."""
        return f"{self.name}.png"


def figure_named(name: str) -> StageFigure | None:
    """Return the figure of a name, such as `confusion_matrix` or `confusion_matrix.png`; None if it is unknown."""
    return next((figure for figure in FIGURES if figure.name == name.removesuffix(".png")), None)


def _draw_curves(path: Path, data: FigureData) -> bool:
    return curves_figure(path, data.history, data.metrics.train.chosen if data.metrics.train else None)


def _draw_confusion(path: Path, data: FigureData) -> bool:
    return confusion_figure(path, data.metrics.test)


def _draw_per_class(path: Path, data: FigureData) -> bool:
    per_class_figure(path, data.metrics.test)
    return True


def _draw_robustness(path: Path, data: FigureData) -> bool:
    if data.metrics.robustness is None:
        return False
    robustness_figure(path, data.metrics.robustness)
    return True


def _describe_curves(metrics: StageMetrics, history: History) -> str | None:
    return describe_curves(history, metrics.train.chosen if metrics.train else None) if history else None


def _describe_augmentation(metrics: StageMetrics, history: History) -> str | None:
    if metrics.train is None:
        return None
    if metrics.train.augmentation == Augmentation():
        return "Training images as the network sees them; they are not augmented."
    return f"Training images, unaugmented and as the network sees them in each of the first {EPOCHS_SHOWN} epochs."


FIGURES: tuple[StageFigure, ...] = (
    StageFigure(
        "learning_curves",
        "Training curves",
        Section.TRAINING,
        _describe_curves,
        _draw_curves,
    ),
    StageFigure(
        "confusion_matrix",
        "Confusion matrix",
        Section.CONFUSIONS,
        lambda metrics, history: describe_confusion(metrics.test),
        _draw_confusion,
    ),
    StageFigure(
        "reliability",
        "Reliability diagram",
        Section.CALIBRATION,
        lambda metrics, history: describe_reliability(metrics.test),
        lambda path, data: reliability_figure(path, data.metrics.test),
    ),
    StageFigure(
        "per_class",
        "Recall and precision by class",
        Section.CLASSES,
        lambda metrics, history: describe_per_class(metrics.test),
        _draw_per_class,
    ),
    StageFigure(
        "mistakes",
        "Worst mistakes",
        Section.MISTAKES,
        lambda metrics, history: "The misclassified images with the highest loss, with label and prediction.",
        lambda path, data: predictions_figure(path, "Worst mistakes", data.mistakes, data.thumbnails),
    ),
    StageFigure(
        "label_errors",
        "Suspected label errors",
        Section.LABEL_ERRORS,
        lambda metrics, history: (
            "Images whose label may be wrong, the most suspicious first, with label and prediction."
        ),
        lambda path, data: predictions_figure(path, "Suspected label errors", data.label_errors, data.thumbnails),
    ),
    StageFigure(
        "robustness",
        "Accuracy on corrupted images",
        Section.ROBUSTNESS,
        lambda metrics, history: describe_robustness(metrics.robustness) if metrics.robustness else None,
        _draw_robustness,
    ),
    # Drawn when training begins, since it needs the training images.
    StageFigure("augmentation", "Augmented training images", Section.TRAINING, _describe_augmentation),
)

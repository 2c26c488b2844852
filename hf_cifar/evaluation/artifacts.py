"""Save what a stage leaves of an evaluated split: tables, example images, figures, report and metrics."""

from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.evaluation.compute_metrics import save_predictions
from hf_cifar.evaluation.examples import save_examples
from hf_cifar.evaluation.figures.collection import save_figures
from hf_cifar.evaluation.image_table import image_rows, write_image_table
from hf_cifar.evaluation.mistakes import mistakes, suspected_label_errors
from hf_cifar.evaluation.report.report import write_report
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.verdicts import doubts_too_many


def save_artifacts(
    folder: StageFolder,
    metrics: StageMetrics,
    logits: np.ndarray,
    images: LabeledImages,
    model: PreTrainedModel,
    processor: Any,
) -> None:
    """Write everything about a split, `metrics.json` last: with it the stage is done.

    Args:
        folder: of the stage; its history, where there is one, is drawn.
        metrics: of the stage.
        logits: float32 [n, labels].
        images: the n images, with labels of the model.
        model: that computed the logits, in eval mode, with its label names.
        processor: the image processor that is saved with it.

    Raises:
        CorruptImageError: an image that is to be shown cannot be read any more.
    """
    names, labels = label_names(model), images.targets
    files = images.files()
    suspected = suspected_label_errors(logits, labels)
    if doubts_too_many(len(suspected), len(labels)):
        suspected = suspected[:0]  # a model that is wrong so often doubts itself; the verdicts say so
    save_predictions(folder.predictions, logits, labels, images.index, files)
    for path, positions in (
        (folder.mistakes, mistakes(logits, labels)),
        (folder.label_errors, suspected),
    ):
        write_image_table(path, image_rows(positions, logits, labels, images.index, names, files))
    save_examples(folder.examples, model, processor, images, names)
    save_figures(folder, metrics, images)
    write_report(folder, metrics)
    metrics.write(folder.metrics)


def label_names(model: PreTrainedModel) -> list[str]:
    """Return the class names of a model in the order of its logits."""
    names: dict[Any, str] = dict(model.config.id2label or {})
    return [names[index] for index in sorted(names)]

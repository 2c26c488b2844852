"""What is left behind of a split that was predicted: tables, example images, pictures and the report."""

from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.evaluation.compute_metrics import save_predictions
from hf_cifar.evaluation.examples import save_examples
from hf_cifar.evaluation.figures import save_figures
from hf_cifar.evaluation.mistakes import mistakes, suspected_label_errors, write_images_table
from hf_cifar.evaluation.report.report import write_report
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.utils.files import write_json


def record(
    folder: StageFolder,
    metrics: dict[str, Any],
    logits: np.ndarray,
    images: LabeledImages,
    model: PreTrainedModel,
    processor: Any,
) -> None:
    """Write everything about a split, `metrics.json` last: with it the stage is done.

    Args:
        folder: of the stage; its history, where there is one, is drawn.
        metrics: the content of metrics.json.
        logits: float32 [n, labels].
        images: the n images, with labels of the model.
        model: what made the logits, in eval mode, with its label names.
        processor: the image processor that is saved with it.
    """
    names = label_names(model)
    labels, index = images.targets, images.index
    save_predictions(folder.predictions, logits, labels, index)
    write_images_table(folder.mistakes, mistakes(logits, labels), logits, labels, index, names)
    write_images_table(folder.label_errors, suspected_label_errors(logits, labels), logits, labels, index, names)
    save_examples(folder.examples, model, processor, images, names)
    save_figures(folder, metrics, images)
    write_report(folder, metrics)
    write_json(folder.metrics, metrics)


def label_names(model: PreTrainedModel) -> list[str]:
    """What a model calls its classes, in their order."""
    names: dict[Any, str] = dict(model.config.id2label or {})
    return [names[number] for number in sorted(names)]

"""All figures of a stage, from what it left in its folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hf_cifar.data.images import LabeledImages
from hf_cifar.evaluation.figures.confusion import confusion_figure
from hf_cifar.evaluation.figures.curves import curves_figure
from hf_cifar.evaluation.figures.per_class import per_class_figure
from hf_cifar.evaluation.figures.pictures import TINY, pictures_figure
from hf_cifar.evaluation.figures.reliability import reliability_figure
from hf_cifar.evaluation.figures.robustness import robustness_figure
from hf_cifar.evaluation.figures.tables import read_doubts, read_history
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.utils.files import folder_aside

MAX_IMAGES = 24  # worst mistakes, and label errors, that are shown
THUMBNAIL = 160  # pixels of the longer side
THUMBNAILS = "images"


def save_figures(folder: StageFolder, metrics: dict[str, Any], images: LabeledImages) -> dict[str, Path]:
    """Draw everything that a stage has figures of, into its `figures` folder.

    What `mistakes.csv`, `label_errors.csv` and `history.csv` hold is drawn if they are there; an older figure for which
    there is nothing to draw now is removed. Small copies of the images of the worst mistakes and of the suspected label
    errors go to `figures/images`, for the report.

    Args:
        folder: of the stage.
        metrics: the content of metrics.json.
        images: those that `metrics["test"]` was measured on; the few that are shown are read again.

    Returns:
        The PNGs of this call by name: `learning_curves`, `confusion_matrix`, `reliability`, `per_class`, `mistakes`,
        `label_errors`, `robustness`.

    Raises:
        CorruptImageError: an image cannot be read any more.
    """
    test = metrics["test"]
    history = read_history(folder.history)
    mistakes, doubts = read_doubts(folder.mistakes, MAX_IMAGES), read_doubts(folder.label_errors, MAX_IMAGES)
    thumbnails = _save_thumbnails(folder.figures / THUMBNAILS, images, [row["index"] for row in mistakes + doubts])
    drawn = {
        "learning_curves": lambda path: curves_figure(path, history, metrics.get("train", {}).get("chosen")),
        "confusion_matrix": lambda path: confusion_figure(path, test),
        "reliability": lambda path: reliability_figure(path, test),
        "per_class": lambda path: per_class_figure(path, test),
        "mistakes": lambda path: _doubts_figure(path, "Worst mistakes", mistakes, thumbnails),
        "label_errors": lambda path: _doubts_figure(path, "Suspected label errors", doubts, thumbnails),
        "robustness": lambda path: robustness_figure(path, metrics["robustness"]) if "robustness" in metrics else False,
    }
    found = {}
    for name, draw in drawn.items():
        path = folder.figures / f"{name}.png"
        if draw(path) is False:
            path.unlink(missing_ok=True)
        else:
            found[name] = path
    return found


def _doubts_figure(path: Path, title: str, rows: list[dict[str, Any]], thumbnails: dict[int, Image.Image]) -> bool:
    if not rows:
        return False
    captions = [(row["label"], f"→ {row['prediction']}", f"{row['prediction_probability']:.1%}") for row in rows]
    subtitle = "Label → answer, and the answer's probability"
    pictures_figure(path, title, subtitle, [thumbnails[row["index"]] for row in rows], captions)
    return True


def _save_thumbnails(path: Path, images: LabeledImages, rows: list[int]) -> dict[int, Image.Image]:
    """Small copies of some rows of a split, in memory and, if there are any, as files in a folder."""
    found: dict[int, Image.Image] = {}
    with folder_aside(path) as folder:
        for row in dict.fromkeys(rows):
            (image,) = replace(images, index=np.array([row])).decode([0])
            tiny = max(image.size) <= TINY
            if not tiny:
                image.thumbnail((THUMBNAIL, THUMBNAIL))
            found[row] = image
            # A tiny image is shown dot by dot; of a photograph JPEG takes a fifth of the room.
            image.save(folder / f"{row}.{'png' if tiny else 'jpg'}", quality=85)
    return found

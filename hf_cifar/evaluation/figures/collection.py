"""Draw all figures of a stage from the files in its folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cifar.data.images import LabeledImages
from hf_cifar.evaluation.cells import pictured
from hf_cifar.evaluation.embedded import SIDE
from hf_cifar.evaluation.figures.image_grid import TINY
from hf_cifar.evaluation.figures.registry import FIGURES, MAX_IMAGES, THUMBNAILS, FigureData
from hf_cifar.evaluation.history import read_history
from hf_cifar.evaluation.image_table import read_image_table
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.files import folder_aside


def save_figures(folder: StageFolder, metrics: StageMetrics, images: LabeledImages) -> dict[str, Path]:
    """Draw every figure for which the stage has data into its `figures` folder, and remove outdated ones.

    Thumbnails of the worst mistakes, of some of each cell and of suspected label errors go to `figures/images`, for
    the report.

    Args:
        folder: of the stage, with `mistakes.csv`, `label_errors.csv` and `history.csv` where there are any.
        metrics: of the stage.
        images: those that `metrics.test` was measured on; the few that are shown are read again.

    Returns:
        The PNGs that were drawn, by the names in the registry.

    Raises:
        CorruptImageError: an image cannot be read any more.
    """
    wrong = read_image_table(folder.mistakes)
    mistakes = wrong[:MAX_IMAGES]
    label_errors = read_image_table(folder.label_errors, MAX_IMAGES)
    indices = [row.index for row in (*mistakes, *label_errors, *pictured(wrong))]
    thumbnails = _save_thumbnails(folder.figures / THUMBNAILS, images, indices)
    data = FigureData(metrics, read_history(folder.history), mistakes, label_errors, thumbnails)
    paths = {}
    for figure in FIGURES:
        if figure.draw is None:
            continue
        path = folder.figures / figure.file
        if figure.draw(path, data):
            paths[figure.name] = path
        else:
            path.unlink(missing_ok=True)
    return paths


def _save_thumbnails(path: Path, images: LabeledImages, indices: Sequence[int]) -> dict[int, Image.Image]:
    """Write small copies of some rows of a split to a folder, and return them by row."""
    thumbnails: dict[int, Image.Image] = {}
    with folder_aside(path) as folder:
        for index in dict.fromkeys(indices):
            (image,) = replace(images, index=np.array([index])).decode([0])
            is_tiny = max(image.size) <= TINY
            if not is_tiny:
                image.thumbnail((SIDE, SIDE))
            thumbnails[index] = image
            # Tiny images are enlarged pixel by pixel; for photographs JPEG takes a fifth of the space.
            image.save(folder / f"{index}.{'png' if is_tiny else 'jpg'}", quality=85)
    return thumbnails

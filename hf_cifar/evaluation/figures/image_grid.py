"""Grids of images with captions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cifar.evaluation.figures.style import DPI, WIDTH, png_figure, shorten
from hf_cifar.evaluation.image_table import ImageRow
from hf_cifar.utils.formatting import percent

COLUMNS = 4
SIDE = 148  # pixels
TINY = 96  # pixels; images up to this size are enlarged by nearest neighbour


def image_grid_figure(
    path: Path, title: str, subtitle: str, images: Sequence[Image.Image], captions: Sequence[Sequence[str]]
) -> None:
    """Draw images row by row, each with a caption.

    Args:
        path: of the PNG.
        title, subtitle: of the figure.
        images: RGB, of any size and shape.
        captions: for each image its lines.
    """
    num_lines = max(len(caption) for caption in captions)
    step = (WIDTH - 0.1) / COLUMNS
    row_height = SIDE / DPI + 0.145 * num_lines + 0.1
    num_rows = -(-len(images) // COLUMNS)
    height = 0.55 + num_rows * row_height
    with png_figure(path, WIDTH, height, title, subtitle) as figure:
        for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
            row, column = divmod(index, COLUMNS)
            left, top = 0.08 + column * step, height - 0.52 - row * row_height
            fitted = fit(image, SIDE)
            figure.figimage(
                np.asarray(fitted), round(left * DPI), round(top * DPI) - fitted.height, origin="upper", zorder=1
            )
            text = "\n".join(shorten(line, 15) for line in caption)
            bottom = top - SIDE / DPI - 0.03
            figure.text(left / WIDTH, bottom / height, text, fontsize=7.5, va="top", linespacing=1.15)


def predictions_figure(path: Path, title: str, rows: Sequence[ImageRow], thumbnails: Mapping[int, Image.Image]) -> bool:
    """Draw misclassified images with label, prediction and probability.

    Args:
        path: of the PNG.
        title: of the figure.
        rows: of `mistakes.csv` or `label_errors.csv`.
        thumbnails: images by their row of the split.

    Returns:
        Whether there was anything to draw.
    """
    if not rows:
        return False
    captions = [(row.label, f"→ {row.prediction}", percent(row.prediction_probability, decimals=1)) for row in rows]
    subtitle = "Label → prediction, and its probability"
    image_grid_figure(path, title, subtitle, [thumbnails[row.index] for row in rows], captions)
    return True


def fit(image: Image.Image, side: int) -> Image.Image:
    """Resize an image so that its longer side has `side` pixels; tiny images by nearest neighbour."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    is_tiny = max(image.size) <= TINY
    return image.resize(size, Image.Resampling.NEAREST if is_tiny else Image.Resampling.LANCZOS)

"""Images with a few words under each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hf_cifar.evaluation.figures.style import DPI, WIDTH, picture, short

COLUMNS = 4
SIDE = 148  # pixels
TINY = 96  # pixels: what is no larger is shown dot by dot


def pictures_figure(
    path: Path, title: str, subtitle: str, images: Sequence[Image.Image], captions: Sequence[Sequence[str]]
) -> None:
    """A PNG of images, row by row.

    Args:
        path: of the PNG.
        title: what they are.
        subtitle: how to read the words.
        images: RGB, of any size and shape.
        captions: for each image a few lines.
    """
    lines = max(len(caption) for caption in captions)
    step = (WIDTH - 0.1) / COLUMNS
    row_height = SIDE / DPI + 0.145 * lines + 0.1
    rows = -(-len(images) // COLUMNS)
    height = 0.55 + rows * row_height
    with picture(path, WIDTH, height, title, subtitle) as figure:
        for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
            row, column = divmod(number, COLUMNS)
            left, top = 0.08 + column * step, height - 0.52 - row * row_height
            fitted = fit(image, SIDE)
            figure.figimage(
                np.asarray(fitted), round(left * DPI), round(top * DPI) - fitted.height, origin="upper", zorder=1
            )
            text = "\n".join(short(line, 15) for line in caption)
            below = top - SIDE / DPI - 0.03
            figure.text(left / WIDTH, below / height, text, fontsize=7.5, va="top", linespacing=1.15)


def fit(image: Image.Image, side: int) -> Image.Image:
    """An image whose longer side has `side` pixels; a tiny one is enlarged dot by dot."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    tiny = max(image.size) <= TINY
    return image.resize(size, Image.Resampling.NEAREST if tiny else Image.Resampling.LANCZOS)

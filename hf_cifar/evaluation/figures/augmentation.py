"""Augmented training images, in the colours that the network sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hf_cifar.evaluation.figures.image_grid import fit
from hf_cifar.evaluation.figures.registry import EPOCHS_SHOWN
from hf_cifar.evaluation.figures.style import DPI, SMALL, WIDTH, png_figure, shorten

if TYPE_CHECKING:
    from hf_cifar.data.loader import ImageDataset

COLUMNS = 4
SIDE = 139  # pixels
TITLE = "Training images as the network sees them"
PROBE_SIDE = 48  # pixels, of the plain images that show what a processor does to colours


@dataclass(frozen=True)
class AugmentedRow:
    """One row of the figure.

    Attributes:
        name: beside the row.
        pixels: float [n, 3, height, width], as the network gets them.
        labels: int [n].
        targets: float [n, labels] where images are mixed, otherwise None.
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    targets: np.ndarray | None = None


def augmentation_figure(path: Path, images: "ImageDataset", label_names: Sequence[str]) -> None:
    """Draw a few training images as they are, and as the network sees them in each of the first epochs.

    Args:
        path: of the PNG.
        images: training images with their augmentation; it is left in epoch 0.
        label_names: class names in the order of the labels.
    """
    draw_augmented(path, sample_rows(images), images.transform.processor, label_names)


def sample_rows(images: "ImageDataset") -> list[AugmentedRow]:
    """Return the first images without augmentation, then in each of the first epochs, where these differ.

    Args:
        images: training images with their augmentation; it is left in epoch 0.
    """
    import torch

    from hf_cifar.data.loader import ImageDataset
    from hf_cifar.data.transforms import Transform

    positions = list(range(min(COLUMNS, len(images))))
    plain = ImageDataset(images.images, Transform(images.transform.processor))
    batches = [("original", plain.__getitems__(positions))]
    # The first image is mixed with the last one, as in an epoch in this order.
    in_front = positions[-1:] if images.mixes else []
    augmented = ImageDataset(images.images, images.transform)
    for epoch in range(EPOCHS_SHOWN):
        augmented.set_epoch(epoch)
        batches.append((f"epoch {epoch + 1}", augmented.__getitems__(in_front + positions)))
    augmented.set_epoch(0)
    if all(torch.equal(batch["pixel_values"], batches[0][1]["pixel_values"]) for _, batch in batches):
        batches = batches[:1]  # nothing is augmented
    return [
        AugmentedRow(
            name,
            batch["pixel_values"].numpy(),
            batch["labels"].numpy(),
            batch["targets"].numpy() if "targets" in batch else None,
        )
        for name, batch in batches
    ]


def draw_augmented(path: Path, rows: Sequence[AugmentedRow], processor: Any, label_names: Sequence[str]) -> None:
    """Draw rows of images that went through a processor, in their own colours.

    Args:
        path: of the PNG.
        rows: from top to bottom.
        processor: the image processor that made the pixels.
        label_names: class names in the order of the labels.
    """
    is_mixed = any(row.targets is not None for row in rows)
    step, row_height = SIDE / DPI + 0.05, SIDE / DPI + (0.34 if is_mixed else 0.05)
    height = 0.72 + len(rows) * row_height
    with png_figure(path, WIDTH, height, TITLE) as figure:
        for line, row in enumerate(rows):
            bottom = height - 0.5 - SIDE / DPI - line * row_height - (0.15 if is_mixed else 0)
            middle = (bottom + SIDE / DPI / 2) / height
            figure.text(0.16 / WIDTH, middle, row.name, fontsize=SMALL, rotation=90, ha="center", va="center")
            for index, picture in enumerate(undo_processor(row.pixels, processor)):
                left = 0.28 + index * step
                fitted = np.asarray(fit(Image.fromarray(picture), SIDE))
                figure.figimage(fitted, round(left * DPI), round(bottom * DPI), origin="upper")
                if is_mixed or line == 0:
                    above = (bottom + SIDE / DPI + 0.02) / height
                    figure.text(left / WIDTH, above, _caption(row, index, label_names), fontsize=7, va="bottom")


def undo_processor(pixels: np.ndarray, processor: Any) -> np.ndarray:
    """Return the colours of images that went through a processor, whatever it does to the channels.

    Rescaling, normalisation and the order of channels are together an affine map of the three channels. It is measured
    on plain images that go through the processor itself, and inverted.

    Args:
        pixels: float [n, 3, height, width], from the processor.
        processor: a `transformers` image processor, also one of timm.

    Returns:
        uint8 [n, height, width, 3], RGB.
    """
    matrix, offset = _channel_map(processor)
    values = np.einsum("ij,njhw->nhwi", np.linalg.inv(matrix), pixels - offset[:, None, None])
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _channel_map(processor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix [3, 3] and offset [3] with which a processor maps RGB values of 0 to 255."""
    from hf_cifar.data.transforms import Transform

    colours = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    images = [Image.new("RGB", (PROBE_SIDE, PROBE_SIDE), colour) for colour in colours]
    pixels = Transform(processor)(images, [0] * len(images)).numpy().astype(np.float64)
    height, width = pixels.shape[-2:]
    # The centre, since a processor may pad.
    black, *primaries = pixels[:, :, height // 2, width // 2]
    return np.stack([(primary - black) / 255 for primary in primaries], axis=1), black


def _caption(row: AugmentedRow, index: int, label_names: Sequence[str]) -> str:
    """Return the label, or of a mixed image its two labels with their weights."""
    if row.targets is None:
        return shorten(label_names[int(row.labels[index])], 12)
    weights = row.targets[index]
    largest = [label for label in np.argsort(-weights, kind="stable")[:2] if weights[label] >= 0.005]
    return "\n".join(f"{shorten(label_names[label], 9)} {float(weights[label]):.0%}" for label in largest)

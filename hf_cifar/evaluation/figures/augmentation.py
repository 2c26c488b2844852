"""Training images as the network sees them."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from hf_cifar.data.loader import ImageDataset
from hf_cifar.data.transforms import Transform
from hf_cifar.evaluation.figures.pictures import fit
from hf_cifar.evaluation.figures.style import DPI, SMALL, WIDTH, picture, short

COLUMNS = 4
EPOCHS = 4
SIDE = 139  # pixels


def augmentation_figure(path: Path, images: ImageDataset, label_names: list[str]) -> None:
    """A PNG of the same training images as they are, and in each of the first epochs as the network sees them.

    Args:
        path: of the PNG.
        images: training images with their augmentation; it is left in epoch 0.
        label_names: one a class.
    """
    chosen = list(range(min(COLUMNS, len(images))))
    plain = ImageDataset(images.images, Transform(images.transform.processor)).__getitems__(chosen)
    rows = [("as it is", plain)]
    for epoch in range(EPOCHS):
        images.set_epoch(epoch)
        rows.append((f"epoch {epoch + 1}", images.__getitems__(chosen)))
    images.set_epoch(0)
    mixed = any("targets" in batch for _, batch in rows)
    step, room = SIDE / DPI + 0.05, SIDE / DPI + (0.34 if mixed else 0.05)
    height = 0.72 + len(rows) * room
    with picture(path, WIDTH, height, "Training images as the network sees them") as figure:
        for line, (name, batch) in enumerate(rows):
            bottom = height - 0.5 - SIDE / DPI - line * room - (0.15 if mixed else 0)
            middle = (bottom + SIDE / DPI / 2) / height
            figure.text(0.16 / WIDTH, middle, name, fontsize=SMALL, rotation=90, ha="center", va="center")
            pictures = _as_pictures(batch["pixel_values"], images.transform.processor)
            for place, pixels in enumerate(pictures):
                left = 0.28 + place * step
                fitted = np.asarray(fit(Image.fromarray(pixels), SIDE))
                figure.figimage(fitted, round(left * DPI), round(bottom * DPI), origin="upper")
                if mixed or line == 0:
                    above = (bottom + SIDE / DPI + 0.02) / height
                    figure.text(left / WIDTH, above, _title(batch, place, label_names), fontsize=7, va="bottom")


def _as_pictures(pixels: Tensor, processor: object) -> np.ndarray:
    """Normalised pixels, float [n, 3, height, width], as uint8 [n, height, width, 3]."""
    mean = np.array(getattr(processor, "image_mean", 0.0)).reshape(-1, 1, 1)
    std = np.array(getattr(processor, "image_std", 1.0)).reshape(-1, 1, 1)
    values = np.clip(pixels.numpy() * std + mean, 0, 1)
    return np.rint(values * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _title(batch: dict[str, Tensor], place: int, label_names: list[str]) -> str:
    """The label, or for a mixed image its two labels with their parts."""
    if "targets" not in batch:
        return short(label_names[int(batch["labels"][place])], 14)
    parts = batch["targets"][place]
    found = [number for number in parts.argsort(descending=True).tolist()[:2] if parts[number] >= 0.005]
    return "\n".join(f"{short(label_names[number], 9)} {float(parts[number]):.0%}" for number in found)

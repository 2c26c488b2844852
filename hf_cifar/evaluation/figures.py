"""Pictures of what a run does."""

from pathlib import Path

import numpy as np
from torch import Tensor

from hf_cifar.data.loader import ImageDataset
from hf_cifar.data.transforms import Transform
from hf_cifar.files import write_aside

COLUMNS = 8
EPOCHS = 4


def augmentation_figure(path: Path, images: ImageDataset, label_names: list[str]) -> None:
    """A PNG of the same training images as they are, and in each of the first epochs as the network sees them.

    Args:
        path: of the PNG.
        images: training images with their augmentation; it is left in epoch 0.
        label_names: one a class.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    chosen = list(range(min(COLUMNS, len(images))))
    plain = ImageDataset(images.images, Transform(images.transform.processor)).__getitems__(chosen)
    rows = [("as it is", plain)]
    for epoch in range(EPOCHS):
        images.set_epoch(epoch)
        rows.append((f"epoch {epoch + 1}", images.__getitems__(chosen)))
    images.set_epoch(0)
    pictures = np.stack([_as_pictures(batch["pixel_values"], images.transform.processor) for _, batch in rows])
    side = pictures.shape[2:4]
    # One picture of all of them, with room for a title above each: an axis each would take seconds to lay out.
    room = (side[0] + round(0.25 * side[0]), side[1] + round(0.1 * side[1]))
    canvas = np.full((len(rows) * room[0], len(chosen) * room[1], 3), 255, dtype=np.uint8)
    size = (1.5 * len(chosen) + 0.5, 1.7 * len(rows) + 0.4)
    figure = pyplot.figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    for line, (name, batch) in enumerate(rows):
        bottom = (line + 1) * room[0]
        axis.text(-0.1 * side[1], bottom - side[0] / 2, name, fontsize=9, rotation=90, ha="right", va="center")
        for place in range(len(chosen)):
            left = place * room[1]
            canvas[bottom - side[0] : bottom, left : left + side[1]] = pictures[line, place]
            title = _title(batch, place, label_names)
            axis.text(left + side[1] / 2, bottom - 1.03 * side[0], title, fontsize=8, ha="center", va="bottom")
    axis.imshow(canvas)
    axis.set_axis_off()
    figure.suptitle("Training images as the network sees them", fontsize=10)
    write_aside(path, lambda aside: figure.savefig(aside, format="png", dpi=110, metadata={"Software": None}))
    pyplot.close(figure)


def _as_pictures(pixels: Tensor, processor: object) -> np.ndarray:
    """Normalised pixels, float [n, 3, height, width], as uint8 [n, height, width, 3]."""
    mean = np.array(getattr(processor, "image_mean", 0.0)).reshape(-1, 1, 1)
    std = np.array(getattr(processor, "image_std", 1.0)).reshape(-1, 1, 1)
    values = np.clip(pixels.numpy() * std + mean, 0, 1)
    return np.rint(values * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _title(batch: dict[str, Tensor], place: int, label_names: list[str]) -> str:
    """The label, or for a mixed image its two labels with their parts."""
    if "targets" not in batch:
        return label_names[int(batch["labels"][place])]
    parts = batch["targets"][place]
    found = [number for number in parts.argsort(descending=True).tolist()[:2] if parts[number] >= 0.005]
    return " + ".join(f"{label_names[number]} {float(parts[number]):.2f}" for number in found)

"""The images that final models answer: the test split, the same corrupted, and other sources of the classes."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.evaluation.corruptions import CORRUPTIONS, corrupt

SEVERITY = 3
BATCH = 250


@dataclass
class TestSet:
    """Images as the network takes them.

    Attributes:
        pixels: normalised, float32 [n, 3, height, width].
        labels: int64 [n], in the numbering of the models.
    """

    pixels: torch.Tensor
    labels: np.ndarray


def prepare(dataset: str, other: dict[str, str], model: str) -> dict[str, TestSet]:
    """Return the test sets by name, through the image processor of a saved model.

    Args:
        dataset: that the models were trained on; its test split is taken, whole.
        other: name and dataset of each other source. Its classes are matched by name; all its splits are taken.
        model: folder of a saved model, whose processor is that of all.
    """
    source = load_source(DataConfig(dataset=dataset), for_training=False)
    names = source.label_names
    clean = source.splits["test"].decode(range(len(source.splits["test"])))
    kinds = list(CORRUPTIONS)
    damaged = [corrupt(image, kinds[row % len(kinds)], SEVERITY, 0, row) for row, image in enumerate(clean)]
    sets = {"test": (clean, source.splits["test"].targets), "corrupted": (damaged, source.splits["test"].targets)}
    for name, folder in other.items():
        foreign = load_source(DataConfig(dataset=folder), for_training=False)
        images: list[Image.Image] = []
        labels: list[int] = []
        for split in foreign.splits.values():
            images += split.decode(range(len(split)))
            labels += [names.index(foreign.label_names[label]) for label in split.targets]
        sets[name] = (images, np.array(labels))
    processor = AutoImageProcessor.from_pretrained(model)
    return {name: TestSet(_pixels(processor, images), labels) for name, (images, labels) in sets.items()}


def _pixels(processor: object, images: list[Image.Image]) -> torch.Tensor:
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return torch.cat([processor(images=part, return_tensors="pt")["pixel_values"] for part in parts])  # type: ignore[operator]


@torch.inference_mode()
def answers(model: str, images: TestSet) -> np.ndarray:
    """Return the logits of a saved model for a test set, float32 [n, classes]."""
    network = AutoModelForImageClassification.from_pretrained(model).eval()
    return torch.cat([network(pixel_values=part).logits for part in images.pixels.split(BATCH)]).numpy()

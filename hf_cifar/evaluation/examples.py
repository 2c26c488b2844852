"""A few test images saved with the model's predictions, for the card and for a first try of the model."""

import re
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.transforms import Transform
from hf_cifar.run.stage_folder import EXAMPLES_FILE
from hf_cifar.utils.files import folder_aside, write_json
from hf_cifar.utils.logits import log_probabilities

NUM_EXAMPLES = 4
MAX_SIDE = 512  # of a saved image, in pixels
TOP_K = 5


@dataclass(frozen=True)
class Score:
    """One entry of a prediction, as `pipeline("image-classification")` returns it."""

    label: str
    score: float


@dataclass(frozen=True)
class Example:
    """One row of `examples.json`.

    Attributes:
        file: name of the image beside it.
        index: the row of the split.
        label: class name.
        output: the most probable classes.
    """

    file: str
    index: int
    label: str
    output: list[Score]


@torch.inference_mode()
def save_examples(
    folder: Path, model: PreTrainedModel, processor: Any, images: LabeledImages, label_names: list[str]
) -> None:
    """Write the first image of each of a few classes as PNG, and `examples.json` with the prediction for each file.

    Large images are scaled down first, and only the pixels are kept. The scores are those of the file as it is
    written, so `pipeline` returns the same.

    Args:
        folder: is replaced.
        model: on the device to compute on, in eval mode.
        processor: the image processor that is saved with it.
        images: any number of them.
        label_names: class names in the order of the logits.
    """
    positions = _first_of_each_class(images.targets)
    pictures = images.decode(positions)
    for picture in pictures:
        picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BICUBIC)
    pixels = Transform(processor)(pictures, [0] * len(pictures)).to(model.device)
    probabilities = np.exp(log_probabilities(model(pixels).logits.float().cpu().numpy()))
    examples = []
    for position, scores in zip(positions, probabilities, strict=True):
        index, label = int(images.index[position]), label_names[images.targets[position]]
        best = np.argsort(-scores, kind="stable")[:TOP_K]
        output = [Score(label_names[number], float(scores[number])) for number in best]
        examples.append(Example(f"{index}-{_slug(label)}.png", index, label, output))
    with folder_aside(folder) as aside:
        for example, picture in zip(examples, pictures, strict=True):
            picture.save(aside / example.file, format="PNG")
        write_json(aside / EXAMPLES_FILE, [asdict(example) for example in examples])


def _first_of_each_class(targets: np.ndarray) -> list[int]:
    """Return the first position of each of up to `NUM_EXAMPLES` classes, spread over those that occur."""
    classes, first = np.unique(targets, return_index=True)
    chosen = np.unique(np.linspace(0, len(classes) - 1, min(NUM_EXAMPLES, len(classes))).round().astype(int))
    return [int(position) for position in first[chosen]]


def _slug(label: str) -> str:
    """Return a label as part of a file name that every system takes: `Vögel` as `Vogel`."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", label) if not unicodedata.combining(letter))
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:40] or "class"

"""A few test images kept as files, with what the model answers for them: for the card, and for anyone's first try."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.special import softmax
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.transforms import Transform
from hf_cifar.run.stage_folder import EXAMPLES_FILE
from hf_cifar.utils.files import folder_aside, write_json

COUNT = 4
LONGEST_SIDE = 512  # of a kept image, in pixels
TOP = 5


@torch.inference_mode()
def save_examples(
    folder: Path, model: PreTrainedModel, processor: Any, images: LabeledImages, label_names: list[str]
) -> None:
    """Write the first image of each of a few classes as PNG, and `examples.json`, what the model says of each file.

    Large images are scaled down first, and nothing but the pixels is kept. The scores are those of the file as it
    is, so `pipeline` gives them too.

    Args:
        folder: is replaced.
        model: on the device to compute on, in eval mode.
        processor: the image processor that is saved with it.
        images: any number of them.
        label_names: one a class.
    """
    rows, pictures = [], []
    for position in _one_of_each(images.targets):
        (picture,) = images.decode([position])
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
        pictures.append(picture)
        number, label = int(images.index[position]), label_names[images.targets[position]]
        rows.append({"file": f"{number}-{_file_name(label)}.png", "index": number, "label": label})
    pixels = Transform(processor)(pictures, [0] * len(pictures)).to(model.device)
    scores = softmax(model(pixels).logits.float().cpu().numpy().astype(np.float64), axis=1)
    for row, values in zip(rows, scores, strict=True):
        best = np.argsort(-values, kind="stable")[:TOP]
        row["output"] = [{"label": label_names[number], "score": float(values[number])} for number in best]
    with folder_aside(folder) as aside:
        for row, picture in zip(rows, pictures, strict=True):
            picture.save(aside / row["file"], format="PNG")
        write_json(aside / EXAMPLES_FILE, rows)


def _one_of_each(targets: np.ndarray) -> list[int]:
    """The first position of each of up to `COUNT` classes, spread over those that occur."""
    classes, first = np.unique(targets, return_index=True)
    chosen = np.unique(np.linspace(0, len(classes) - 1, min(COUNT, len(classes))).round().astype(int))
    return [int(position) for position in first[chosen]]


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:40] or "class"

"""Adapt image processors to an image size and a normalisation, and save them with their models.

Those of timm live in the model's own configuration, and cannot be saved by themselves.
"""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedModel

from hf_cifar.errors import InputError

CONFIG_FILE = "config.json"
PROCESSOR_FILE = "preprocessor_config.json"
IMAGE_SIDE = 48  # pixels, of the image that a processor is tried on
# timm's names of mean and standard deviation.
_TIMM_STATISTICS = ("mean", "std")


def fit_processor(processor: Any, image_size: int | None, statistics: tuple[list[float], list[float]] | None) -> Any:
    """Return a processor with another image size or normalisation, otherwise the same.

    Args:
        processor: that the weights were trained with.
        image_size: side of the square, in pixels; None keeps it.
        statistics: mean and standard deviation of each channel, in [0, 1]; None keeps them.

    Raises:
        InputError: the processor ignores the image size, or does not normalise.
    """
    if image_size is None and statistics is None:
        return processor
    if statistics is not None:
        own_statistics(processor)
    fitted = (_fit_timm if _is_timm(processor) else _fit)(processor, image_size, statistics)
    if image_size is not None and output_size(fitted) != (image_size, image_size):
        height, width = output_size(fitted)
        raise InputError(
            f"--image-size {image_size}: {type(processor).__name__} ignores it and makes images of {height} x {width} "
            "pixels; leave it out"
        )
    return fitted


def own_statistics(processor: Any) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation of each channel that a processor normalises by.

    Raises:
        InputError: it does not normalise.
    """
    if _is_timm(processor):
        mean, std = (processor.data_config[name] for name in _TIMM_STATISTICS)
    else:
        mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
        if not getattr(processor, "do_normalize", None) or mean is None or std is None:
            raise InputError(
                f"--normalization dataset: {type(processor).__name__} does not normalise, and neither did the "
                "training of its backbone; use --normalization backbone"
            )
    return list(mean), list(std)


def output_size(processor: Any) -> tuple[int, int]:
    """Return height and width, in pixels, of a processor's output for a square image.

    Raises:
        InputError: it returns no pixel values.
    """
    output = processor(images=[Image.new("RGB", (IMAGE_SIDE, IMAGE_SIDE))], return_tensors="pt")
    if "pixel_values" not in output:
        raise InputError(
            f"{type(processor).__name__} turns an image into {', '.join(output)}, not pixel_values: choose another "
            "--model"
        )
    pixels: torch.Tensor = output["pixel_values"]
    return int(pixels.shape[-2]), int(pixels.shape[-1])


def save_with(processor: Any, model: PreTrainedModel, folder: Path) -> None:
    """Save a model and its processor to a folder, so that the Auto classes load both from it."""
    if not _is_timm(processor):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return
    # transformers reads timm's processor from the model's configuration.
    model.config.pretrained_cfg = {**(getattr(model.config, "pretrained_cfg", None) or {}), **processor.data_config}
    model.save_pretrained(folder)
    # Other tools look for a processor's file and for id2label, which every other model's folder has.
    (folder / PROCESSOR_FILE).write_text(processor.to_json_string(), encoding="utf-8")
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    labels = {"id2label": model.config.id2label, "label2id": model.config.label2id}
    (folder / CONFIG_FILE).write_text(json.dumps({**config, **labels}, indent=2) + "\n", encoding="utf-8")


def _is_timm(processor: Any) -> bool:
    return type(processor).__name__ == "TimmWrapperImageProcessor"


def _fit_timm(processor: Any, image_size: int | None, statistics: tuple[list[float], list[float]] | None) -> Any:
    values = dict(processor.data_config)
    if image_size is not None:
        values["input_size"] = (values["input_size"][0], image_size, image_size)
    if statistics is not None:
        values.update(zip(_TIMM_STATISTICS, statistics, strict=True))
    return type(processor)(pretrained_cfg=values, architecture=getattr(processor, "architecture", None))


def _fit(processor: Any, image_size: int | None, statistics: tuple[list[float], list[float]] | None) -> Any:
    changes: dict[str, Any] = {}
    if image_size is not None:
        resized = image_size
        if getattr(processor, "do_center_crop", False):
            # The margin that is cropped away stays in proportion, as 256 to 224.
            edge = processor.size["shortest_edge"] if "shortest_edge" in processor.size else processor.size["height"]
            resized = round(image_size * edge / processor.crop_size["height"])
            changes["crop_size"] = {"height": image_size, "width": image_size}
        if "shortest_edge" in processor.size:
            changes["size"] = {"shortest_edge": resized}
        else:
            changes["size"] = {"height": resized, "width": resized}
    if statistics is not None:
        changes["image_mean"], changes["image_std"] = statistics
    return type(processor).from_dict({**processor.to_dict(), **changes})

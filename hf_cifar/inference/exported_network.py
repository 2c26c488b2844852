"""A trained classifier in one of its exported forms, run without torch."""

from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

from hf_cifar.config.locate import Location
from hf_cifar.errors import InputError
from hf_cifar.formats.exported import ExportedModel
from hf_cifar.formats.pillow_processor import PillowProcessor
from hf_cifar.formats.runtime import open_runtime
from hf_cifar.inference.network import Inputs, batched
from hf_cifar.utils.packages import TRAIN, installed
from hf_cifar.utils.progress import say

PIXELS = "pixel_values"


class ExportedNetwork:
    """A classifier as an ONNX or OpenVINO file, on the CPU.

    Pixels come from the saved image processor where torch and transformers are installed, so that they are those of
    `pipeline`; elsewhere from `PillowProcessor`, by a level of 255 or two from them where an image is resized.

    Args:
        location: of the model, as `locate_checkpoint` finds it.
        form: one of `variants.FILES`.

    Raises:
        InputError: the model is not there in this form, or cannot be loaded, or what runs it is not installed.
    """

    def __init__(self, location: Location, form: str) -> None:
        model = ExportedModel.find(location, form)
        self.labels = model.labels
        self.problem: str | None = model.config.get("problem_type")
        self.temperature: float | None = model.config.get("calibration_temperature")
        self.head_divided_by: float | None = model.config.get("head_divided_by")
        self._title = f"{model.network.name} of {model.title}"
        self._runtime = open_runtime(model.network)
        self._whole = has_processors()
        self.processor: Any
        if self._whole:
            folder = Location("folder", str(model.folder))
            self.processor = import_processors().load_processor(folder, model.title)
        else:
            self.processor = PillowProcessor(model.processor, model.title)
        if model.largest_difference is not None:
            measured = f"{model.largest_difference:.2g}"
            say(f"{form}: scores were within {measured} of the native model's when it was exported")

    def inputs(self, pictures: list[Image.Image]) -> list[Inputs]:
        """Return the network's input for each of some RGB images of one size."""
        if not self._whole:
            return [{PIXELS: self.processor(picture)} for picture in pictures]
        pixels = self.processor(images=pictures, return_tensors="pt")[PIXELS].float().numpy()
        return [{PIXELS: values} for values in pixels]

    def logits(self, batch: list[Inputs]) -> np.ndarray:
        """Compute the logits of n images of any processed sizes, float32 [n, labels]."""
        logits = np.empty((len(batch), len(self.labels)), dtype=np.float32)
        for indices in batched(batch):
            found = self._runtime.logits(np.stack([batch[index][PIXELS] for index in indices]))
            if found.shape != (len(indices), len(self.labels)):
                shape = " x ".join(map(str, found.shape[1:]))
                raise InputError(
                    f"{self._title} makes {shape} numbers an image, but config.json names "
                    f"{len(self.labels)} labels: export the model again"
                )
            logits[indices] = found
        return logits


def has_processors() -> bool:
    """Return whether the image processors of transformers can be used."""
    return installed(*TRAIN, "torchvision")


def import_processors() -> Any:
    """Import what loads saved image processors, where that can be; None elsewhere."""
    return import_module("hf_cifar.models.pretrained") if has_processors() else None

"""A trained classifier in torch, with its saved image processor: as `pipeline` has both."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from hf_cifar.config.locate import Location
from hf_cifar.inference.network import Inputs, batched
from hf_cifar.models.anatomy import features_and_logits, head
from hf_cifar.models.load import load_checkpoint
from hf_cifar.utils.libraries import hushed


class TorchNetwork:
    """A classifier of transformers in float32, on an accelerator where there is one.

    Args:
        location: of the model, as `locate_checkpoint` finds it.
        use_cpu: compute on the CPU in any case.

    Raises:
        InputError: it is not an image classifier, or cannot be loaded.
    """

    def __init__(self, location: Location, use_cpu: bool = False) -> None:
        with hushed():
            self.model, self.processor = load_checkpoint(location, use_cpu=use_cpu)
        names: Any = self.model.config.id2label
        self.labels: dict[int, str] = names
        self.num_labels = int(self.model.config.num_labels or 0)
        self.problem: str | None = self.model.config.problem_type
        self.temperature: float | None = getattr(self.model.config, "calibration_temperature", None)
        self.head_divided_by: float | None = getattr(self.model.config, "head_divided_by", None)

    def inputs(self, pictures: list[Image.Image]) -> list[Inputs]:
        """Return the network's input for each of some RGB images of one size."""
        batch = self.processor(images=pictures, return_tensors="pt").to(self.model.dtype)
        return [{name: tensor[index] for name, tensor in batch.items()} for index in range(len(pictures))]

    @torch.inference_mode()
    def logits(self, batch: list[Inputs]) -> np.ndarray:
        """Compute the logits of n images of any processed sizes, float32 [n, labels]."""
        logits = np.empty((len(batch), self.num_labels), dtype=np.float32)
        for indices in batched(batch):
            logits[indices] = self.model(**self._stacked(batch, indices)).logits.float().cpu().numpy()
        return logits

    @torch.inference_mode()
    def features_and_logits(self, batch: list[Inputs]) -> tuple[np.ndarray, np.ndarray]:
        """Compute features, float32 [n, features], and logits, as `logits`, of n images in one pass."""
        features = np.empty((len(batch), head(self.model).in_features), dtype=np.float32)
        logits = np.empty((len(batch), self.num_labels), dtype=np.float32)
        for indices in batched(batch):
            pixels = self._stacked(batch, indices)["pixel_values"]
            found = features_and_logits(self.model, pixels)
            features[indices], logits[indices] = (values.float().cpu().numpy() for values in found)
        return features, logits

    def _stacked(self, batch: list[Inputs], indices: list[int]) -> dict[str, torch.Tensor]:
        """Return the inputs of some images of a batch together, on the device."""
        names = batch[indices[0]]
        return {name: torch.stack([batch[i][name] for i in indices]).to(self.model.device) for name in names}

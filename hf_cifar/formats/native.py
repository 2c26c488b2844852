"""The native model as a `Runtime`, to be measured beside its other forms."""

import numpy as np
import torch
from transformers import PreTrainedModel


class NativeRuntime:
    """A model of transformers on the CPU.

    Args:
        model: in eval mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    @torch.inference_mode()
    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the logits of a batch of any number of images."""
        values: np.ndarray = self._model(torch.from_numpy(pixels)).logits.float().numpy()
        return values

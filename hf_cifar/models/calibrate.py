"""Put the temperature of a classifier into its head, so that every client answers calibrated scores."""

from typing import Any

import torch
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import architecture, head

# In config.json: the temperature by which the logits are still to be divided, and the one that the head was divided by.
TEMPERATURE, DIVIDED_BY = "calibration_temperature", "head_divided_by"
# Of the largest logit: dividing weights instead of logits rounds otherwise.
TOLERANCE = 1e-5


def remember_temperature(config: Any, temperature: float | None) -> None:
    """Note the fitted temperature in a model's configuration; nothing applies it unasked."""
    setattr(config, TEMPERATURE, temperature)
    vars(config).pop(DIVIDED_BY, None)  # of a calibrated model that training started from


@torch.inference_mode()
def divide_head(model: PreTrainedModel, temperature: float, pixels: torch.Tensor) -> None:
    """Divide weight and bias of every layer of the head, and note it in the model's configuration.

    Args:
        model: in eval mode; its logits are divided, so that its softmax is that of temperature scaling.
        temperature: the divisor.
        pixels: an input, to see that it is so, float32 [n, 3, height, width].

    Raises:
        InputError: the logits are no linear map of the head's output.
    """
    before = model(pixels).logits
    for layer in head(model).layers:
        layer.weight.div_(temperature)
        if layer.bias is not None:
            layer.bias.div_(temperature)
    wanted = before / temperature
    if not (model(pixels).logits - wanted).abs().max() <= TOLERANCE * wanted.abs().max():  # NaN too
        raise InputError(
            f"--calibrate: the logits of {architecture(model)} are not those of its last linear layer alone: export it "
            "without"
        )
    setattr(model.config, TEMPERATURE, 1.0)
    setattr(model.config, DIVIDED_BY, temperature)

"""A network as ONNX, as an export has it."""

from pathlib import Path

import torch
from transformers import AutoModelForImageClassification


class _Logits(torch.nn.Module):
    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values).logits


def write_onnx(model: Path, to: Path, side: int) -> Path:
    """Write a saved model as ONNX in float32, for batches of any size."""
    loaded = AutoModelForImageClassification.from_pretrained(model).eval()
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        _Logits(loaded).eval(),
        (torch.zeros(2, 3, side, side),),
        str(to),
        input_names=["pixel_values"],
        output_names=["logits"],
        dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    return to

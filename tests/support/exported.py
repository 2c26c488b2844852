"""Exported forms of tiny classifiers, and processes that have neither torch nor transformers."""

import subprocess
import sys
from pathlib import Path

import torch
from transformers import PreTrainedModel

# What `pip install 'hf_cifar[serve]'` does not bring.
ABSENT = (
    *("torch", "torchvision", "transformers", "datasets", "evaluate", "accelerate", "safetensors", "timm", "onnx"),
    *("scipy", "sklearn", "pandas", "pyarrow", "matplotlib", "jinja2", "threadpoolctl", "openvino", "onnxscript"),
)
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


class _Logits(torch.nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values).logits


def write_onnx(model: PreTrainedModel, size: int, file: Path) -> None:
    """Write a classifier as ONNX, for batches of any number of square images of `size` pixels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        _Logits(model).eval(),
        (torch.zeros(2, 3, size, size),),
        file,
        input_names=["pixel_values"],
        output_names=["logits"],
        dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def run_without_torch(code: str) -> subprocess.CompletedProcess:
    """Run Python code in a process where only what the extra `serve` brings can be imported."""
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, timeout=120)

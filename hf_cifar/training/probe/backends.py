"""What computes the pooled features of a batch: torch, with a model made for inference, or ONNX Runtime.

Each is compared with the model itself before it is used.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.formats.onnx_export import export_onnx
from hf_cifar.formats.runtime import OnnxRuntime, first_line
from hf_cifar.formats.variants import ONNX_MODULES
from hf_cifar.models.anatomy import pooled_features
from hf_cifar.models.fold import inference_copy
from hf_cifar.utils.packages import installed, missing
from hf_cifar.utils.progress import say

# Of the largest feature. Rounding in another order makes 4e-7 in a ResNet; scores of a head on it then stay within 1e-5
# of those of `pipeline`. Who asks for ONNX Runtime gets it up to the larger one.
TOLERANCE, TOLERANCE_ASKED = 1e-6, 1e-5
COMPARED = 16  # images of the first batch
ONNX_PAYS_AFTER = 60.0  # seconds of a pass by torch; the export takes 3 to 6, and gains 0 to 25 %
ONNX_FEWEST = 2_000  # images; fewer take as long only where each takes 30 ms, and timing one batch is work too
ONNX_PAYS_BELOW = 0.9  # of torch's time

# Maps the network's input, float32 [n, 3, height, width] on the CPU, to features, float32 [n, features].
Backend = Callable[[torch.Tensor], np.ndarray]


def onnx_installed() -> bool:
    """Return whether everything is installed that `--feature-backend onnx` needs."""
    return installed(*ONNX_MODULES)


def torch_backend(model: PreTrainedModel, pixels: torch.Tensor, dtype: torch.dtype) -> Backend:
    """Return a backend by torch: of a copy made for inference where that computes the same, or else of the model.

    Args:
        model: in eval mode, on the device to compute on; it is not changed.
        pixels: the first batch.
        dtype: float32, or bfloat16 for autocast.
    """
    wanted = _features(model, pixels[:COMPARED])
    try:
        made = inference_copy(model, pixels[:1].to(model.device))
        problem = None if made is None else _difference(_features(made, pixels[:COMPARED]), wanted, TOLERANCE)
    except Exception as error:  # whatever the code of a network says to a layer that is missing
        made, problem = None, f"{type(error).__name__}: {error}".splitlines()[0]
    if problem is not None:
        say(f"features by the model as it is, since a copy with folded BatchNorm cannot be used: {problem}")
    used, layout = (model, torch.contiguous_format) if made is None or problem else (made, torch.channels_last)
    return lambda batch: _features(used, batch, dtype, layout)


def onnx_backend(model: PreTrainedModel, pixels: torch.Tensor, tolerance: float = TOLERANCE_ASKED) -> Backend:
    """Return a backend by ONNX Runtime on the CPU, with as many threads as torch.

    Args:
        model: in eval mode; it is not changed.
        pixels: the first batch.
        tolerance: how far features may differ from the model's, as a part of the largest.

    Raises:
        InputError: it is not installed, or the model cannot be exported, or the features differ.
    """
    if not onnx_installed():
        lacking = ", ".join(missing(*ONNX_MODULES))
        raise InputError(f"--feature-backend onnx needs {lacking}: pip install 'hf_cifar[onnx]', or take torch")
    wanted = _features(model, pixels[:COMPARED])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "backbone.onnx")
        try:
            export_onnx(_Backbone(model), pixels, path, output="features")
            session = OnnxRuntime(path, threads=torch.get_num_threads())
            found = session.logits(pixels[:COMPARED].numpy())
        except Exception as error:  # exporter and runtime share no type of error
            reason = str(error) if isinstance(error, InputError) else first_line(error)
            raise InputError(f"{reason}: use --feature-backend torch") from error
    problem = _difference(found, wanted, tolerance)
    if problem is not None:
        raise InputError(f"--feature-backend onnx: {problem}: use --feature-backend torch")

    return lambda batch: session.logits(batch.numpy())


def faster_by_onnx(by_torch: Backend, model: PreTrainedModel, pixels: torch.Tensor, images: int) -> Backend | None:
    """Return a backend by ONNX Runtime where it is measured to be faster than torch, and the pass is long enough.

    Args:
        by_torch: its rival.
        model: in eval mode, on the CPU.
        pixels: the first batch, which both are timed on.
        images: that are to be computed.
    """
    first = _seconds(by_torch, pixels)
    if first / len(pixels) * images < ONNX_PAYS_AFTER:
        return None
    try:
        by_onnx = onnx_backend(model, pixels, TOLERANCE)
    except InputError as error:
        say(f"features by torch: {error}")
        return None
    times = [(_seconds(by_torch, pixels), _seconds(by_onnx, pixels)) for _ in range(3)]
    ratio = min(onnx for _, onnx in times) / min(torch for torch, _ in times)
    chosen = ratio < ONNX_PAYS_BELOW
    say(f"features by {'ONNX Runtime' if chosen else 'torch'}: ONNX Runtime takes {ratio:.2f} of torch's time")
    return by_onnx if chosen else None


@torch.inference_mode()
def _features(
    model: PreTrainedModel,
    batch: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> np.ndarray:
    device = model.device
    pixels = batch.to(device, non_blocking=True).contiguous(memory_format=layout)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        features = pooled_features(model, pixels)
    values: np.ndarray = features.float().cpu().numpy()
    return values


def _difference(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> str | None:
    """Return in words that features differ by more than rounding does, or None."""
    largest = float(np.abs(wanted).max(initial=0.0))
    difference = float(np.abs(found - wanted).max(initial=0.0))
    if difference <= tolerance * largest:
        return None
    return f"features differ by {difference:.1e}, where the largest is {largest:.1e}"


def _seconds(backend: Backend, pixels: torch.Tensor) -> float:
    start = time.perf_counter()
    backend(pixels)
    return time.perf_counter() - start


class _Backbone(nn.Module):
    """The map from images to pooled features, for export."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return pooled_features(self.model, pixel_values)

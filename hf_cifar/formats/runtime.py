"""Run an exported network: pixels in, logits out, as arrays of numpy.

Imports neither torch nor transformers: a server has neither.
"""

import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hf_cifar.errors import InputError
from hf_cifar.utils.packages import require


class Runtime(Protocol):
    """A network that computes logits, float32 [n, labels], of pixels, float32 [n, 3, height, width]."""

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the logits of a batch of any number of images."""


class OnnxRuntime:
    """An ONNX file in ONNX Runtime on the CPU.

    Args:
        file: with the input `pixel_values` and one output.
        threads: that compute; default: ONNX Runtime's choice.

    Raises:
        InputError: ONNX Runtime is not installed, or cannot load the file.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        require("onnxruntime", "serve")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the errors of ONNX Runtime share no type
            raise InputError(f"{file} cannot be loaded by ONNX Runtime: {first_line(error)}") from error

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the logits of a batch of any number of images."""
        values: np.ndarray = self._session.run(None, {"pixel_values": pixels})[0]
        return values.astype(np.float32, copy=False)


class OpenVino:
    """An OpenVINO model on the CPU, in float32.

    Args:
        file: the .xml file, with the .bin file beside it.
        threads: that compute; default: OpenVINO's choice.

    Raises:
        InputError: OpenVINO is not installed, or cannot load the file.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        require("openvino", "openvino")
        import openvino

        # By default OpenVINO computes in bfloat16 where the processor has it.
        properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        try:
            self._model = openvino.Core().compile_model(file, "CPU", properties)
        except Exception as error:  # the errors of OpenVINO share no type
            raise InputError(f"{file} cannot be loaded by OpenVINO: {first_line(error)}") from error

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Compute the logits of a batch of any number of images."""
        values: np.ndarray = self._model([pixels])[0]
        return values.astype(np.float32, copy=False)


def open_runtime(file: Path, threads: int | None = None) -> Runtime:
    """Return what runs a file of an exported folder.

    Raises:
        InputError: what runs it is not installed, or cannot load it.
    """
    return OpenVino(file, threads) if file.suffix == ".xml" else OnnxRuntime(file, threads)


def first_line(error: BaseException) -> str:
    """Return the beginning of what an error says."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # colours for a terminal
    return f"{type(error).__name__}: {text.strip().partition(chr(10))[0][:200]}"

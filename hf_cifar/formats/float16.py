"""Halve an ONNX file: weights and arithmetic in float16, pixels and logits still float32."""

from pathlib import Path

from hf_cifar.errors import InputError
from hf_cifar.formats.runtime import first_line


def write_float16(source: Path, target: Path) -> None:
    """Convert an ONNX file with the converter that comes with ONNX Runtime.

    Args:
        source: in float32.
        target: takes and gives float32 too, so that every client can feed it.

    Raises:
        InputError: it cannot be converted.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    try:
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
    except Exception as error:  # the converter's errors share no type
        raise InputError(f"the network cannot be converted to float16 ({first_line(error)})") from error

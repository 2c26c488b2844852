"""Convert an ONNX file to OpenVINO's own format, in float32."""

from pathlib import Path

from hf_cifar.errors import InputError
from hf_cifar.formats.runtime import first_line


def write_openvino(source: Path, target: Path) -> None:
    """Write `target`, an .xml file, and the .bin file with the weights beside it.

    Args:
        source: the ONNX file, in float32.
        target: of which the folder exists.

    Raises:
        InputError: OpenVINO cannot convert it.
    """
    import openvino

    try:
        model = openvino.convert_model(source)
        # What it notes of the conversion, such as the path of the source, is no part of the model.
        if "conversion_parameters" in model.rt_info:
            del model.rt_info["conversion_parameters"]
        openvino.save_model(model, target, compress_to_fp16=False)
    except Exception as error:  # the errors of OpenVINO share no type
        raise InputError(f"the network cannot be converted to OpenVINO ({first_line(error)})") from error

"""The forms in which a model is exported, and where each lies in the exported folder.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from hf_cifar.config.options.export import FORMATS, NATIVE
from hf_cifar.errors import InputError
from hf_cifar.utils.packages import missing

__all__ = ["DESCRIPTION_FILE", "FILES", "FORMATS", "MADE_FROM", "NATIVE", "files_of", "refuse_missing_packages"]

# The layout that transformers.js reads: its default in a browser without WebGPU is the quantized file.
FILES: dict[str, str] = {
    "onnx": "onnx/model.onnx",
    "onnx-q8": "onnx/model_quantized.onnx",
    "onnx-fp16": "onnx/model_fp16.onnx",
    "openvino": "openvino/openvino_model.xml",
}
OPENVINO_WEIGHTS = "openvino/openvino_model.bin"
# In the exported folder: what was measured of each form that is there, by its name.
DESCRIPTION_FILE = "formats.json"
MADE_FROM = "made_from"  # in it, of each form: digest of the model that it was made from, as training left it
ONNX_MODULES = ("onnx", "onnxruntime", "onnxscript")


def files_of(name: str) -> list[str]:
    """Return the files of a form in the exported folder."""
    return [FILES[name], OPENVINO_WEIGHTS] if name == "openvino" else [FILES[name]]


def refuse_missing_packages(names: list[str]) -> None:
    """Refuse forms that cannot be made or measured with what is installed.

    Args:
        names: of forms beside the native one.

    Raises:
        InputError: names the packages, and what installs them.
    """
    for name in names:
        # OpenVINO converts the ONNX file.
        modules, extra = (
            ((*ONNX_MODULES, "openvino"), "onnx,openvino") if name == "openvino" else (ONNX_MODULES, "onnx")
        )
        lacking = missing(*modules)
        if lacking:
            raise InputError(f"--formats {name} needs {', '.join(lacking)}: pip install 'hf_cifar[{extra}]'")

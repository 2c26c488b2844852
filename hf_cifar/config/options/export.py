"""In which forms a model is exported."""

from dataclasses import dataclass

from hf_cifar.config.fields import Usual, between, option
from hf_cifar.errors import unknown_name

# Forms of a model beside the native one (formats/variants.py).
VARIANTS = ("onnx", "onnx-q8", "onnx-fp16", "openvino")
NATIVE = "native"
FORMATS = (NATIVE, *VARIANTS)


@dataclass
class ExportConfig:
    """In which forms a model is exported."""

    formats: list[str] = option(
        [],
        "forms of the model, separated by commas: native (always there), onnx, onnx-q8 (int8), onnx-fp16, openvino; "
        "each is measured on the test split and left out where its answers differ (pip install 'hf_cifar[onnx]', "
        "'hf_cifar[openvino]'; default: native, and for push those of the last export)",
        metavar="FORMAT,…",
        usual=Usual("results", "forms of the model: native, onnx, onnx-q8, onnx-fp16, openvino"),
    )
    max_accuracy_drop: float = option(
        0.5,
        "points of test accuracy that another form than native may lose, and still be exported",
        metavar="POINTS",
        range=between(0, 100),
    )
    calibrate: bool | None = option(
        None,
        "divide the head's weight and bias by the temperature that was fitted on validation, so that every client "
        "answers calibrated scores; the answers stay (default: no, and for push as in the last export)",
    )

    def __post_init__(self) -> None:
        names = [name.strip() for item in self.formats for name in item.split(",") if name.strip()]
        for name in names:
            if name not in FORMATS:
                raise unknown_name("format for --formats", name, FORMATS)
        self.formats = [name for name in FORMATS if name in names]

    @property
    def variants(self) -> list[str]:
        """Return the forms beside the native one, which are measured."""
        return [name for name in self.formats if name != NATIVE]

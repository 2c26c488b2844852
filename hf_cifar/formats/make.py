"""Make the forms of a model that are asked for, laid out as in the exported folder."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.formats.float16 import write_float16
from hf_cifar.formats.onnx_export import Classifier, export_onnx
from hf_cifar.formats.openvino_export import write_openvino
from hf_cifar.formats.quantization import is_of_matrices, quantize_dynamically, quantize_statically
from hf_cifar.formats.variants import FILES
from hf_cifar.utils.progress import say

FLOAT32 = "float32"  # the method of forms that compute as the native one does
Batches = Callable[[], Iterable[np.ndarray]]


@dataclass(frozen=True)
class MadeForm:
    """A form that is there, and not yet measured.

    Attributes:
        name: as `--formats` names it; forms that were made in several ways share one.
        method: how, in words.
        file: what `open_runtime` opens.
        operators: what is quantised in it: kind -> how many.
    """

    name: str
    method: str
    file: Path
    operators: dict[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return what tells it from others: its name, with the method where that is a choice."""
        return f"{self.name} ({self.method})" if self.operators else self.name

    @property
    def bytes(self) -> int:
        """Return the size of its files; of a folder of transformers, that of the weights."""
        if self.file.is_dir():
            return sum(file.stat().st_size for file in self.file.glob("*.safetensors"))
        files = (self.file, self.file.with_suffix(".bin"))
        return sum(file.stat().st_size for file in files if file.is_file())


def make_forms(
    names: Sequence[str], model: PreTrainedModel, pixels: torch.Tensor, folder: Path, calibration: Batches | None
) -> tuple[list[MadeForm], dict[str, str]]:
    """Write the forms of a model; one that cannot be made is left out.

    Args:
        names: of the forms, without the native one.
        model: in eval mode, on the CPU; it is not changed.
        pixels: an input, float32 [n, 3, height, width].
        folder: an empty one.
        calibration: makes the batches that fix the ranges of static int8; None where there are no images for that.

    Returns:
        The forms, and for each name that has none why.
    """
    base = folder / FILES["onnx"]
    for file in FILES.values():
        (folder / file).parent.mkdir(exist_ok=True)
    say("exporting to ONNX")
    try:
        _export(model, pixels, base)
    except InputError as error:
        return [], dict.fromkeys(names, str(error))
    made: list[MadeForm] = []
    failed: dict[str, str] = {}
    for name in names:
        try:
            made += _made(name, base, folder, calibration)
        except InputError as error:
            failed[name] = str(error)
    return made, failed


def _export(model: PreTrainedModel, pixels: torch.Tensor, file: Path) -> None:
    """Export a model; with attention written out where the exporter fails on the fused one, as in BEiT and Swin."""
    try:
        export_onnx(Classifier(model), pixels, file)
    except InputError as error:
        if model.config._attn_implementation == "eager":
            raise
        plain = copy.deepcopy(model)
        try:
            plain.set_attn_implementation("eager")
        except (ValueError, AttributeError):  # of a network without attention
            raise InputError(str(error)) from error
        export_onnx(Classifier(plain), pixels, file)


def _made(name: str, base: Path, folder: Path, calibration: Batches | None) -> list[MadeForm]:
    target = folder / FILES[name]
    if name == "onnx":
        return [MadeForm(name, FLOAT32, base)]
    say(f"making {name}")
    if name == "onnx-fp16":
        write_float16(base, target)
        return [MadeForm(name, "float16", target)]
    if name == "openvino":
        write_openvino(base, target)
        return [MadeForm(name, FLOAT32, target)]
    return _quantised(name, base, target, calibration)


def _quantised(name: str, base: Path, target: Path, calibration: Batches | None) -> list[MadeForm]:
    """Make int8 in each way that applies; the measured times choose."""
    forms, problems = [], []
    if calibration is not None:
        try:
            file = target.with_stem(f"{target.stem}-static")
            operators = quantize_statically(base, file, calibration())
            forms.append(MadeForm(name, "static int8", file, operators))
        except InputError as error:
            problems.append(str(error))
    else:
        problems.append("static int8 needs validation images, which the dataset does not have")
    if is_of_matrices(base):  # a head alone neither shrinks nor speeds up a network of convolutions
        try:
            file = target.with_stem(f"{target.stem}-dynamic")
            forms.append(MadeForm(name, "dynamic int8", file, quantize_dynamically(base, file)))
        except InputError as error:
            problems.append(str(error))
    if not forms:
        raise InputError("; ".join(problems))
    return forms

"""Export a network to one ONNX file, for any number of images."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.errors import InputError
from hf_cifar.formats.runtime import first_line

# The one that torch's exporter writes by itself: what is converted to another is one more thing that can go wrong.
# ONNX Runtime reads it, also in a browser, and so does OpenVINO.
OPSET = 18
INPUT, LOGITS = "pixel_values", "logits"  # the names that clients feed and read


class Classifier(nn.Module):
    """The map from images to logits.

    Args:
        model: in eval mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the logits, float [n, labels], of float [n, 3, height, width]."""
        logits: torch.Tensor = self.model(pixel_values).logits
        return logits


def export_onnx(network: nn.Module, pixels: torch.Tensor, file: Path, output: str = LOGITS) -> None:
    """Write a network, in float32, to a file that holds its weights too.

    Args:
        network: maps `pixel_values` to one tensor, with a row for each image; it is not changed.
        pixels: an input, float32 [n, 3, height, width]; one image is enough.
        file: of which the folder exists.
        output: name of the output.

    Raises:
        InputError: the network cannot be exported, such as one that depends on what it computes.
    """
    sample = torch.cat([pixels[:1], pixels[:1]])  # a batch of one would be taken for a constant
    try:
        with _quiet():
            torch.onnx.export(
                network.eval(),
                (sample,),
                file,
                input_names=[INPUT],
                output_names=[output],
                # A name and not `Dim`: that claims every size, and torch 2.9 refuses it where it noted "not 1".
                dynamic_shapes={INPUT: {0: "batch"}},
                opset_version=OPSET,
                external_data=False,
                dynamo=True,
                verbose=False,
            )
        _without_notes(file)
    except Exception as error:  # torch.export and onnxscript share no type of error
        raise InputError(f"the network cannot be exported to ONNX ({first_line(_origin(error))})") from error


def _origin(error: BaseException) -> BaseException:
    """Return the first of a chain of errors: the exporter's own only tells how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the exporter says of opset versions and the like: nothing that a user could change."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # onnxscript before 0.7 prints what it did
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _without_notes(file: Path) -> None:
    """Remove what the exporter notes of the code behind each node: paths of this machine, and half of a small file."""
    import onnx

    model = onnx.load(file)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, file)

"""Write int8 variants of an ONNX file, by the tools of ONNX Runtime."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_cifar.errors import InputError
from hf_cifar.formats.onnx_export import INPUT
from hf_cifar.formats.runtime import first_line

if TYPE_CHECKING:
    pass

_MULTIPLYING = ("Conv", "Gemm", "MatMul")  # where nearly all weights are
_MATRICES = ("Gemm", "MatMul")  # ONNX Runtime's convolution with dynamic int8 is slower than that in float32
_INTEGER = {"ConvInteger": "Conv", "MatMulInteger": "MatMul", "DynamicQuantizeMatMul": "MatMul"}
_CONVERTING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def quantize_statically(source: Path, target: Path, batches: Iterable[np.ndarray]) -> dict[str, int]:
    """Write a variant whose weights and activations are int8, with ranges that are fixed by some images.

    In the QDQ format, with a scale for each channel of the weights; a range is the mean over batches of the smallest
    and of the largest value, so that one unusual image does not coarsen all others. The head, whose rounding would go
    right into the logits, stays in float32. In a network of matrices so does everything but products, where int8 costs
    answers; in convolutional networks it saves conversions. x86 processors without VNNI may round otherwise than
    others, since they add products in 16 bits.

    Args:
        source: in float32.
        target: the file to write.
        batches: images as the network sees them, float32 [n, 3, height, width] each; not of the test split.

    Returns:
        What is quantised: kind of operator -> how many.

    Raises:
        InputError: it cannot be quantised.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with _prepared(source, target) as prepared:
        quantize_static(
            prepared,
            target,
            _reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_MULTIPLYING) if is_of_matrices(source) else None,
            nodes_to_exclude=_head(prepared),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},
        )
        return _quantised(target)


def quantize_dynamically(source: Path, target: Path) -> dict[str, int]:
    """Write a variant whose matrices are int8, and whose activations are made so batch by batch.

    Args, Returns, Raises: as of `quantize_statically`, without images.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _prepared(source, target) as prepared:
        quantize_dynamic(
            prepared,
            target,
            op_types_to_quantize=list(_MATRICES),
            nodes_to_exclude=_head(prepared),
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        return _quantised(target)


def is_of_matrices(file: Path) -> bool:
    """Return whether most weights of a network are in matrix products, as of a ViT, and not in convolutions."""
    import onnx

    graph = onnx.load(file).graph
    sizes = {tensor.name: prod(tensor.dims) for tensor in graph.initializer}
    counted: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in _MULTIPLYING:
            counted[node.op_type] += sum(sizes.get(name, 0) for name in node.input[:2])
    return counted["Conv"] < counted.total() / 2


@contextmanager
def _prepared(source: Path, target: Path) -> Iterator[Path]:
    """Yield the file with the shapes of its tensors, which the tools ask for."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name(f"prepared-{target.name}")
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # advice for whoever tunes a quantisation by hand
    try:
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        _without_shapes_of_weights(prepared)
        yield prepared
    except Exception as error:  # the tools' errors share no type
        raise InputError(f"the network cannot be quantised ({first_line(error)})") from error
    finally:
        logging.disable(before)
        prepared.unlink(missing_ok=True)


def _without_shapes_of_weights(file: Path) -> None:
    """Remove what is noted of the weights' shapes: ONNX Runtime up to 1.23 transposes a matrix and keeps its note."""
    import onnx

    model = onnx.load(file)
    weights = {tensor.name for tensor in model.graph.initializer}
    kept = [item for item in model.graph.value_info if item.name not in weights]
    model.graph.ClearField("value_info")
    model.graph.value_info.extend(kept)
    onnx.save(model, file)


def _reader(batches: Iterable[np.ndarray]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Hands one batch after another to the tools."""

        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """Return the next batch by the name of the input, or None."""
            pixels = next(self._batches, None)
            return None if pixels is None else {INPUT: pixels}

    return Reader()


def _head(file: Path) -> list[str]:
    """Return the name of the last matrix product, which computes the logits."""
    import onnx

    return [node.name for node in onnx.load(file).graph.node if node.op_type in _MATRICES][-1:]


def _quantised(file: Path) -> dict[str, int]:
    """Count the operators that compute in int8: integer ones, and those between conversions from and to int8."""
    import onnx

    graph: onnx.GraphProto = onnx.load(file).graph
    produced = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    consumed = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    whole = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT64}  # axes, shapes
    kinds = [_INTEGER.get(node.op_type) for node in graph.node]
    for node in graph.node:
        inputs = {name for name in node.input if name} - whole
        if node.op_type in _CONVERTING or not inputs or not inputs <= produced:
            continue
        # What has one input and gives float32 only reads a converted tensor.
        if len(inputs) > 1 or set(node.output) & consumed:
            kinds.append(node.op_type)
    return dict(sorted(Counter(kind for kind in kinds if kind).items()))

"""The forms of a model: the logits of the native one, in one file, for any number of images."""

import collections

import numpy as np
import pytest
import torch
from support.families import FAMILIES

from hf_cifar.errors import InputError
from hf_cifar.formats import make, variants
from hf_cifar.formats.make import make_forms
from hf_cifar.formats.runtime import open_runtime
from hf_cifar.utils import packages

onnx = pytest.importorskip("onnx", reason="hf_cifar[onnx] is not installed")
pytest.importorskip("onnxruntime", reason="hf_cifar[onnx] is not installed")
pytest.importorskip("onnxscript", reason="hf_cifar[onnx] is not installed")

# Of the largest logit, which ten-fold differences between int8 and noise leave far below.
TOLERANCE = {"float32": 1e-4, "float16": 0.05, "static int8": 0.5, "dynamic int8": 0.2}
FIRST = ("resnet", "vit", "deit-with-teacher")


def pixels_of(family: str, count: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (count, 40, 40, 3), dtype=np.uint8))
    return FAMILIES[family].make_processor()(images=images, return_tensors="pt")["pixel_values"]


def native(model, pixels: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return model(pixels).logits.numpy()


def made_of(family: str, folder, names=("onnx", "onnx-q8", "onnx-fp16")):
    model, pixels = FAMILIES[family].make(), pixels_of(family)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    forms, failed = make_forms(names, model, pixels, folder, lambda: iter([pixels.numpy()]))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "it is not changed"
    return forms, failed, pixels.numpy(), native(model, pixels)


@pytest.mark.parametrize(
    "family", [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_every_form_computes_the_logits_for_any_number_of_images(family, tmp_path):
    forms, failed, pixels, expected = made_of(family, tmp_path)
    if family == "data2vec":
        assert not forms and "cannot be exported to ONNX" in failed["onnx"], "this one the exporter cannot do"
        return
    assert not failed and {form.name for form in forms} == {"onnx", "onnx-q8", "onnx-fp16"}
    for form in forms:
        runtime = open_runtime(form.file, threads=1)
        found = np.concatenate([runtime.logits(pixels[:3]), runtime.logits(pixels[3:4]), runtime.logits(pixels[4:])])
        assert found.dtype == np.float32 and found.shape == expected.shape
        if form.method != "float32" and family not in FIRST:
            continue  # rounding in deep networks of random weights says nothing: the measuring judges trained ones
        assert np.abs(found - expected).max() <= TOLERANCE[form.method] * np.abs(expected).max(), form.title


def test_a_file_holds_the_weights_the_names_that_clients_use_and_no_path(tmp_path, capsys):
    forms, _, _, _ = made_of("resnet", tmp_path, ["onnx", "onnx-fp16"])
    assert capsys.readouterr().out == "", "the output of a command is its result"
    for form in forms:
        content = form.file.read_bytes()
        assert b"/hf_cifar/" not in content and b"site-packages" not in content and b"stack_trace" not in content
        model = onnx.load(form.file, load_external_data=False)
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        (taken,), (given,) = model.graph.input, model.graph.output
        assert (taken.name, given.name) == ("pixel_values", "logits")
        assert {item.type.tensor_type.elem_type for item in (taken, given)} == {onnx.TensorProto.FLOAT}
        assert taken.type.tensor_type.shape.dim[0].dim_param, "any number of images"
        assert [item.version for item in model.opset_import if item.domain == ""] == [18]
    assert [path for path in (tmp_path / "onnx").iterdir() if path.suffix != ".onnx"] == []
    whole, half = forms
    assert half.bytes < 0.7 * whole.bytes


def test_the_head_of_an_int8_form_is_the_native_one(tmp_path):
    """A change of the head's weights by less than int8 can hold is a change of the logits."""
    forms, _, _, _ = made_of("resnet", tmp_path, ["onnx-q8"])
    (form,) = forms
    kinds = collections.Counter(node.op_type for node in onnx.load(form.file).graph.node)
    assert form.method == "static int8" and form.operators["Conv"] == kinds["Conv"] and "Gemm" not in form.operators
    head = FAMILIES["resnet"].make().classifier[1].weight.detach().numpy()
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(form.file).graph.initializer]
    assert any(values.shape == head.shape and np.array_equal(values, head) for values in weights)


def test_matrices_are_quantised_in_both_ways_and_convolutions_in_one(tmp_path):
    (tmp_path / "vit").mkdir()
    forms, _, _, _ = made_of("timm-vit", tmp_path / "vit", ["onnx-q8"])
    assert [form.method for form in forms] == ["static int8", "dynamic int8"]
    dynamic = collections.Counter(node.op_type for node in onnx.load(forms[1].file).graph.node)
    assert forms[1].operators == {"MatMul": dynamic["MatMulInteger"]}
    (tmp_path / "resnet").mkdir()
    assert [form.method for form in made_of("resnet", tmp_path / "resnet", ["onnx-q8"])[0]] == ["static int8"]


def test_what_cannot_be_made_is_left_out_with_its_reason(tmp_path, monkeypatch):
    def fail(*_):
        raise InputError("no float16 today")

    monkeypatch.setattr(make, "write_float16", fail)
    model, pixels = FAMILIES["resnet"].make(), pixels_of("resnet")
    forms, failed = make_forms(["onnx", "onnx-q8", "onnx-fp16"], model, pixels, tmp_path, None)
    assert [form.name for form in forms] == ["onnx"] and failed["onnx-fp16"] == "no float16 today"
    assert "needs validation images" in failed["onnx-q8"]


class Branching(torch.nn.Module):
    """A network that does what depends on what it computes."""

    def forward(self, pixel_values):
        raise RuntimeError("data-dependent" if pixel_values.sum() > 0 else "and otherwise too")


def test_a_network_that_cannot_be_exported_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"^the network cannot be exported to ONNX \(") as refusal:
        make.export_onnx(Branching(), torch.rand(1, 3, 8, 8), tmp_path / "x.onnx")
    assert "\n" not in str(refusal.value) and "\x1b" not in str(refusal.value)


def test_openvino_computes_the_logits_and_notes_no_path(tmp_path):
    pytest.importorskip("openvino", reason="hf_cifar[openvino] is not installed")
    forms, failed, pixels, expected = made_of("vit", tmp_path, ["openvino"])
    assert not failed
    np.testing.assert_allclose(
        open_runtime(forms[0].file, threads=1).logits(pixels), expected, atol=1e-5 * np.abs(expected).max()
    )
    assert str(tmp_path) not in forms[0].file.read_text() and forms[0].file.with_suffix(".bin").is_file()


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("onnx", "onnxscript", r"--formats onnx needs onnxscript: pip install 'hf_cifar\[onnx\]'"),
        ("openvino", "openvino", r"--formats openvino needs openvino: pip install 'hf_cifar\[onnx,openvino\]'"),
    ],
)
def test_a_missing_package_is_one_line(name, missing, message, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda module: None if module == missing else object())
    with pytest.raises(InputError, match=message):
        variants.refuse_missing_packages(["onnx", name] if missing == "openvino" else [name])

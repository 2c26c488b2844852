"""Backends: the features of the model itself, whoever computes them, and nothing that was not compared with it."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.families import FAMILIES
from support.models import processor, tiny_resnet

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError
from hf_cifar.run.resolve import request_for
from hf_cifar.training.probe import backends, features
from hf_cifar.training.probe.features import FeatureCache
from hf_cifar.utils import packages


@pytest.fixture
def train(image_folder):
    return load_source(DataConfig(dataset=str(image_folder))).splits["train"]


def reference(model: torch.nn.Module, pixels: torch.Tensor) -> np.ndarray:
    """The pooled output in float64, by transformers' own names."""
    with torch.no_grad():
        found = model.double().resnet(pixels.double()).pooler_output.flatten(1)
    model.float()
    return found.numpy()


def test_the_fast_copy_computes_the_models_features():
    model, pixels = tiny_resnet(), torch.randn(9, 3, 24, 24)
    backend = backends.torch_backend(model, pixels[:4], torch.float32)
    expected = reference(model, pixels)
    assert np.abs(backend(pixels) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_copy_that_computes_something_else_is_not_used(monkeypatch, capfd):
    model, pixels = tiny_resnet(), torch.randn(4, 3, 24, 24)
    monkeypatch.setattr(backends, "inference_copy", lambda *_: tiny_resnet(seed=1))
    found = backends.torch_backend(model, pixels, torch.float32)(pixels)
    np.testing.assert_allclose(found, reference(model, pixels), atol=1e-5)
    assert capfd.readouterr().err.count("\n") == 1


def test_bfloat16_is_near_float32_and_only_for_training_images(train, tmp_path):
    cache = FeatureCache(tiny_resnet(), processor(16), tmp_path, dtype="bfloat16")
    whole = FeatureCache(tiny_resnet(), processor(16), tmp_path).features(train)[:]
    assert cache.features(replace(train, part="validation")).images_read == 0
    coarse = cache.features(replace(train, part="train"))
    assert coarse.images_read == 60 and coarse[:].dtype == np.float32
    assert 1e-5 < np.abs(coarse[:] - whole).max() / np.abs(whole).max() < 0.03


def test_a_part_ends_where_its_time_is_over(train, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "batch_size", lambda *_: 10)
    monkeypatch.setattr(features, "PART_SECONDS", 0.0)
    found = FeatureCache(tiny_resnet(), processor(16), tmp_path / "many").features(train)
    assert len(list(tmp_path.glob("many/*/part-*"))) == 6
    monkeypatch.undo()
    one = FeatureCache(tiny_resnet(), processor(16), tmp_path / "one").features(train)
    assert len(list(tmp_path.glob("one/*/part-*"))) == 1
    np.testing.assert_allclose(found[:], one[:], atol=1e-6)


def test_a_part_never_holds_more_rows_than_it_may(train, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "batch_size", lambda *_: 9)
    monkeypatch.setattr(features, "PART_ROWS", 20)
    FeatureCache(tiny_resnet(), processor(16), tmp_path).features(train)
    assert sorted(len(np.load(path)) for path in tmp_path.glob("*/part-*/rows.npy")) == [6, 18, 18, 18]


def test_without_onnx_runtime_it_is_one_line_what_to_install(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^--feature-backend onnx needs onnx, onnxruntime, onnxscript: pip install"):
        backends.onnx_backend(tiny_resnet(), torch.zeros(1, 3, 16, 16))


needs_onnx = pytest.mark.skipif(not backends.onnx_installed(), reason="ONNX Runtime is not installed")


@needs_onnx
@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_onnx_runtime_computes_the_models_features_for_any_number_of_images(family):
    model = FAMILIES[family].make().eval() if family != "resnet" else tiny_resnet()
    size = getattr(model.config, "image_size", 24)
    pixels = torch.randn(7, 3, size, size)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    backend = backends.onnx_backend(model, pixels[:4])
    expected = backends.torch_backend(model, pixels, torch.float32)(pixels)
    for images in (7, 3, 1):
        np.testing.assert_allclose(backend(pixels[:images]), expected[:images], atol=1e-5 * np.abs(expected).max())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def fake_onnx(monkeypatch, seconds: float) -> None:
    """Let torch stand for ONNX Runtime, with some seconds added to each batch."""

    def make(model, pixels, *_):
        run = backends.torch_backend(model, pixels, torch.float32)
        return lambda batch: (time.sleep(seconds), run(batch))[1]

    monkeypatch.setattr(features, "onnx_installed", lambda: True)
    monkeypatch.setattr(features, "onnx_backend", make)
    monkeypatch.setattr(backends, "onnx_backend", make)


def made_by(cache: FeatureCache) -> list[str]:
    keys = [json.loads(path.read_text()) for path in sorted(cache.folder.glob("*/key.json"))]
    return sorted(key.get("backend", "torch") for key in keys)


@pytest.mark.parametrize(("torch_seconds", "onnx_seconds", "chosen"), [(0.05, 0.0, "onnx"), (0.0, 0.05, "torch")])
def test_auto_takes_the_faster_backend(torch_seconds, onnx_seconds, chosen, train, tmp_path, monkeypatch):
    fake_onnx(monkeypatch, onnx_seconds)
    monkeypatch.setattr(backends, "ONNX_PAYS_AFTER", 0.0)
    monkeypatch.setattr(features, "ONNX_FEWEST", 1)
    original = features.torch_backend
    monkeypatch.setattr(
        features,
        "torch_backend",
        lambda *given: lambda batch: (time.sleep(torch_seconds), original(*given)(batch))[1],
    )
    cache = FeatureCache(tiny_resnet(), processor(16), tmp_path)
    cache.features(train)
    assert made_by(cache) == [chosen]


def test_auto_does_not_export_for_a_short_pass(train, tmp_path, monkeypatch):
    fake_onnx(monkeypatch, 0.0)
    monkeypatch.setattr(backends, "onnx_backend", None)
    cache = FeatureCache(tiny_resnet(), processor(16), tmp_path)
    cache.features(train)
    assert made_by(cache) == ["torch"]


def test_auto_uses_what_either_backend_has_cached(train, tmp_path, monkeypatch):
    fake_onnx(monkeypatch, 0.0)
    some = train.select(np.arange(20))
    FeatureCache(tiny_resnet(), processor(16), tmp_path, backend="onnx").features(some)
    monkeypatch.undo()
    assert FeatureCache(tiny_resnet(), processor(16), tmp_path).features(some).images_read == 0
    if backends.onnx_installed():
        return
    # What is there is of no use where the rest cannot be added to it.
    cache = FeatureCache(tiny_resnet(), processor(16), tmp_path)
    assert cache.features(train).images_read == 60 and made_by(cache) == ["onnx", "torch"]


def test_backend_and_dtype_that_exclude_each_other_are_refused(image_folder):
    with pytest.raises(InputError, match="--feature-backend onnx computes in float32"):
        request_for("probe", {"feature_backend": "onnx", "feature_dtype": "bfloat16", "dataset": str(image_folder)})

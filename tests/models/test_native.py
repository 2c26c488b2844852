"""The exported model against the wrapped one."""

import json

import pytest
import torch
from support.models import build, processor, scramble_statistics
from transformers import ResNetForImageClassification

from hf_cifar.config.options.model import ModelConfig
from hf_cifar.models.native import native_key, save, to_native

NAMES = ["ape", "bee", "cat", "dog"]


def wrapped(arch: str):
    model = build(ModelConfig(model=arch, weights="none"), NAMES, seed=1).model
    scramble_statistics(model)
    return model.eval()


@pytest.mark.parametrize(("arch", "count"), [("resnet18", 1000), ("resnet34", 50), ("resnet50", 50)])
def test_same_logits_as_the_wrapped_model(arch, count):
    model = wrapped(arch)
    native = to_native(model)
    assert type(native) is ResNetForImageClassification
    worst, largest = 0.0, 0.0
    with torch.inference_mode():
        for batch in torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)).split(50):
            ours = model(batch).logits
            worst = max(worst, (native(batch).logits - ours).abs().max().item())
            largest = max(largest, ours.abs().max().item())
    assert worst < 1e-4
    assert largest > 0.1, "logits of nothing prove nothing"


def test_saved_folder_is_native_named_and_safetensors_only(tmp_path):
    folder = tmp_path / "model"
    save(wrapped("resnet18"), processor(32), folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "preprocessor_config.json"}
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["ResNetForImageClassification"]
    assert config["model_type"] == "resnet" and "auto_map" not in config
    assert config["id2label"] == {"0": "ape", "1": "bee", "2": "cat", "3": "dog"}
    assert config["label2id"] == {"ape": 0, "bee": 1, "cat": 2, "dog": 3}


def test_the_temperature_goes_with_the_model(tmp_path):
    model = wrapped("resnet18")
    model.config.calibration_temperature = 1.7
    save(model, processor(32), tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["calibration_temperature"] == 1.7


def test_a_model_without_label_names_is_not_saved(tmp_path):
    model = wrapped("resnet18")
    model.config.id2label = {number: f"LABEL_{number}" for number in range(4)}
    with pytest.raises(ValueError, match="label names"):
        save(model, processor(32), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_saving_replaces_an_older_folder_whole(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "stale.bin").write_text("old")
    save(wrapped("resnet18"), processor(32), folder)
    assert not (folder / "stale.bin").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing is left beside it"


def test_unknown_tensor_has_no_native_name():
    with pytest.raises(KeyError):
        native_key("layer1.0.se.weight")

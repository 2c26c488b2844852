import json
import os
import shutil

import pytest
import torch
from support.models import processor, tiny_resnet
from transformers import BertConfig, BertModel

from hf_cifar.config.locate import Location
from hf_cifar.errors import InputError
from hf_cifar.models.load import load_checkpoint


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A saved classifier without label names, to be spoiled."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def load(folder):
    return load_checkpoint(Location("folder", str(folder)), use_cpu=True)


def test_a_saved_classifier_comes_back_in_float32_with_its_processor(folder):
    tiny_resnet().half().save_pretrained(folder)
    model, images = load(folder)
    assert model.dtype == torch.float32
    assert not model.training
    assert images.size == {"height": 16, "width": 16}
    for name, tensor in tiny_resnet().half().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor.float() if tensor.is_floating_point() else tensor)


def test_missing_label_names_are_a_warning(folder, capsys):
    load(folder)
    assert "has no label names; its predictions are LABEL_0 to LABEL_4" in capsys.readouterr().err


def without_processor(folder):
    os.remove(folder / "preprocessor_config.json")


def without_weights(folder):
    os.remove(folder / "model.safetensors")


def without_head(folder):
    tiny_resnet().resnet.save_pretrained(folder)


def with_head_of_another_size(folder):
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(number): f"name {number}" for number in range(7)}
    config["label2id"] = {name: int(number) for number, name in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))


def cut_short(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def with_broken_config(folder):
    (folder / "config.json").write_text("{no")


def of_text(folder):
    config = BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=1, intermediate_size=16, vocab_size=30)
    BertModel(config).save_pretrained(folder)
    processor(16).save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_processor, "has no image processor that can be read"),
        (without_weights, "cannot be loaded"),
        (without_head, r"not a trained image classifier: 2 tensors .*\(such as classifier\.1\.bias"),
        (with_head_of_another_size, r"not a trained image classifier: 2 tensors .*\(such as classifier\.1\.bias"),
        (cut_short, "cannot be loaded"),
        (with_broken_config, "cannot be loaded"),
        (of_text, "is a bert model"),
    ],
)
def test_what_is_no_trained_classifier_is_refused_in_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message) as refusal:
        load(folder)
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_old_checkpoint_without_the_counters_of_batch_norm_is_taken(folder):
    model = tiny_resnet()
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    model.save_pretrained(folder, state_dict=state)
    loaded, _ = load(folder)
    assert torch.equal(loaded.classifier[1].weight, model.classifier[1].weight)

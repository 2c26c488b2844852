"""Whatever a checkpoint brings along, only transformers' own code runs, and nobody is asked."""

import json
import shutil

import pytest
from support.models import tiny_resnet

from hf_cifar.config.locate import Location
from hf_cifar.errors import InputError
from hf_cifar.models.pretrained import load_classifier, load_config, load_processor, new_classifier

CODE = """
from pathlib import Path
Path(__file__).with_name("it-ran").touch()
Path({marker!r}).touch()
from transformers import PreTrainedConfig, PreTrainedModel, ViTImageProcessor
class OwnConfig(PreTrainedConfig):
    model_type = "own"
class OwnModel(PreTrainedModel):
    config_class = OwnConfig
class OwnProcessor(ViTImageProcessor):
    pass
"""
CONFIG_CLASSES = {"AutoConfig": "own.OwnConfig", "AutoModelForImageClassification": "own.OwnModel"}
PROCESSOR_CLASSES = {"AutoImageProcessor": "own.OwnProcessor"}


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.fixture
def with_code(tiny_model, tmp_path):
    """A checkpoint with code of its own beside it: `with_code(config values, processor values)` -> its folder."""

    def make(config, processor):
        folder = shutil.copytree(tiny_model, tmp_path / "checkpoint")
        (folder / "own.py").write_text(CODE.format(marker=str(tmp_path / "it-ran")))
        change(folder / "config.json", auto_map=CONFIG_CLASSES, **config)
        change(folder / "preprocessor_config.json", auto_map=PROCESSOR_CLASSES, **processor)
        return folder

    return make


@pytest.fixture
def in_a_process(warm_python):
    """The printed outcome of a call in a process of its own, with "y" to read, for whoever asks there."""

    def call_it(folder, call):
        code = f"""
import sys
from support.models import build
from hf_cifar.config.locate import Location
from hf_cifar.config.options.model import ModelConfig
from hf_cifar.errors import InputError
from hf_cifar.models.load import load_checkpoint
folder = {str(folder)!r}
try:
    {call}
    print("loaded")
except InputError as error:
    print(error)
assert sys.stdin.read() == "y\\n", "something was asked"
"""
        ended = warm_python.run(code, stdin="y\n")
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return call_it


CALLS = {
    "checkpoint": 'load_checkpoint(Location("folder", folder), use_cpu=True)',
    "model": 'build(ModelConfig(model=folder), ["a", "b", "c", "d", "e"], seed=0)',
}


@pytest.mark.parametrize("call", CALLS)
def test_a_known_architecture_is_loaded_natively(call, with_code, in_a_process, tmp_path):
    assert in_a_process(with_code({}, {}), CALLS[call]) == "loaded\n"
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(("config", "processor"), [
    ({"model_type": "own"}, {}),
    ({}, {"image_processor_type": "OwnProcessor"}),
], ids=["model", "processor"])  # fmt: skip
@pytest.mark.parametrize("call", CALLS)
def test_what_only_its_own_code_knows_is_refused_in_one_line(
    call, config, processor, with_code, in_a_process, tmp_path
):
    said = in_a_process(with_code(config, processor), CALLS[call])
    assert "works only with Python code of its own, which is never run here" in said and said.count("\n") == 1
    assert not (tmp_path / "it-ran").exists()


def test_the_processor_beside_weights_runs_no_code_either(with_code, in_a_process, tmp_path):
    """It was loaded without a word on code, and so transformers asked, and ran it."""
    folder = with_code({}, {"image_processor_type": "OwnProcessor"})
    call = (
        "import torch, torchvision; torch.save(torchvision.models.resnet18().state_dict(), folder + '/w.pth'); "
        "import os; os.replace(folder + '/w.pth', folder + '/pytorch_model.bin'); "
        "os.remove(folder + '/model.safetensors'); "
        'build(ModelConfig(model="resnet18", weights=folder), ["a", "b"], seed=0)'
    )
    assert "works only with Python code of its own" in in_a_process(folder, call)
    assert not (tmp_path / "it-ran").exists()


def test_code_is_not_named_where_the_model_is_saved_again(with_code, tmp_path):
    location = Location("folder", str(with_code({}, {})))
    model, _ = load_classifier(location)
    model.save_pretrained(tmp_path / "again")
    load_processor(location).save_pretrained(tmp_path / "again")
    for name in ("config.json", "preprocessor_config.json"):
        assert "auto_map" not in json.loads((tmp_path / "again" / name).read_text())


def test_a_classifier_comes_with_what_could_not_be_loaded(tiny_model, tmp_path):
    state = tiny_resnet().state_dict()
    del state["classifier.1.bias"]
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tiny_resnet().save_pretrained(folder, state_dict=state)
    model, info = load_classifier(Location("folder", str(folder)))
    assert set(info["missing_keys"]) == {"classifier.1.bias"} and not info["unexpected_keys"]
    assert model.classifier[1].weight.equal(tiny_resnet().classifier[1].weight)


@pytest.mark.parametrize(("load", "message"), [
    (load_config, "--model x cannot be loaded"),
    (load_processor, "--model x has no image processor that can be read"),
    (lambda location, title: load_classifier(location, title=title), "--model x cannot be loaded"),
])  # fmt: skip
def test_what_cannot_be_loaded_is_one_line(load, message, tmp_path):
    with pytest.raises(InputError, match=message) as refusal:
        load(Location("folder", str(tmp_path)), title="--model x")
    assert "\n" not in str(refusal.value)


def test_what_cannot_be_built_is_one_line():
    config = tiny_resnet().config
    config.hidden_act = "no such function"
    with pytest.raises(InputError, match="--model x cannot be built"):
        new_classifier(config, "--model x")

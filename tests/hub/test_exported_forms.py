"""Exported forms of a model on the Hub: downloaded, or said to be missing."""

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, constants
from PIL import Image
from support.exported import write_onnx
from support.hub.fixtures import TOKEN
from support.models import processor, tiny_resnet

from hf_cifar.errors import InputError
from hf_cifar.formats.variants import FILES
from hf_cifar.inference.predictor import Predictor

REPO = "alice/forms"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with its ONNX form."""
    folder, model = tmp_path_factory.mktemp("forms"), tiny_resnet()
    model.save_pretrained(folder)
    processor(16).save_pretrained(folder)
    write_onnx(model, 16, folder / FILES["onnx"])
    return folder


@pytest.fixture
def on_hub(hub, folder, tmp_path, monkeypatch):
    """A model with its ONNX form on the loopback Hub, which the client of this process asks."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo(REPO)
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
    operations = [CommitOperationAdd(str(path.relative_to(folder)), path.read_bytes()) for path in files]
    api.create_commit(REPO, operations, commit_message="a model")
    return folder


def test_a_form_on_the_hub_is_downloaded_once(on_hub, photos_of, monkeypatch):
    found = Predictor(REPO, backend="onnx").predict(photos_of)
    assert found == Predictor(on_hub, backend="onnx").predict(photos_of)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Predictor(REPO, backend="onnx").predict(photos_of) == found, "from the cache"


def test_a_form_that_is_not_on_the_hub_is_named(on_hub, monkeypatch):
    with pytest.raises(
        InputError, match=f"{REPO} has no {FILES['onnx-q8']} on the Hub: export the model with --formats"
    ):
        Predictor(REPO, backend="onnx-q8")
    with pytest.raises(InputError, match=f"config.json of {REPO}-2 cannot be downloaded"):
        Predictor(f"{REPO}-2", backend="onnx")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=f"{FILES['onnx-q8']} of {REPO} is not cached"):
        Predictor(REPO, backend="onnx-q8")


@pytest.fixture
def photos_of(tmp_path):
    """Two images."""
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file, colour in zip(files, ("red", "blue"), strict=True):
        Image.new("RGB", (20, 30), colour).save(file)
    return files

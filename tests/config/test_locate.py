"""A name that is a path is called a path, where nothing is there."""

from pathlib import Path

import pytest
from support.hub.fixtures import TOKEN

from hf_cifar.config.locate import locate_checkpoint, locate_dataset, locate_model, locate_start, locate_weights
from hf_cifar.errors import InputError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/photos-a", "ds/here"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("locate", "name", "message"),
    [
        (locate_checkpoint, "runs/nope", "--checkpoint runs/nope: no such folder"),
        (locate_checkpoint, "runs/photo-a", "did you mean 'photos-a'?"),
        (locate_start, "runs/nope", "--from runs/nope: no such folder"),
        (locate_model, "runs/nope", "and the Hub cannot be reached to look for a model"),
        (locate_weights, "runs/nope", "--weights runs/nope: no such folder"),
        (locate_dataset, "ds/nothere", "--dataset ds/nothere: no such folder"),
        (locate_dataset, "ds/her", "did you mean 'here'?"),
        (locate_dataset, "./nothere", "--dataset ./nothere: no such folder"),
        (locate_dataset, "photos", "--dataset photos: no such folder; give a folder or a .zip file that is there"),
        (locate_dataset, "photos.zip", "--dataset photos.zip: no such file"),
    ],
)
def test_a_path_that_is_not_there_is_named_as_such(locate, name, message):
    with pytest.raises(InputError) as refusal:
        locate(name)
    assert message in str(refusal.value) and "cannot reach" not in str(refusal.value)


def test_what_may_be_on_the_hub_is_left_to_it(here, monkeypatch):
    assert locate_checkpoint("nobody/nothing").kind == locate_dataset("nobody/nothing").kind == "hub"
    assert locate_checkpoint("runs/nope@main").kind == "hub"
    monkeypatch.setenv("HF_HOME", str(here / "cache"))
    (here / "cache" / "hub" / "datasets--ds--cached").mkdir(parents=True)
    assert locate_dataset("ds/cached").kind == "hub"


def test_a_folder_that_is_called_like_a_user_hides_nothing_of_theirs_on_the_hub(hub, monkeypatch):
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    Path("alice").mkdir()
    HfApi(endpoint=hub.url, token=TOKEN).create_repo("alice/flowers")
    for locate in (locate_checkpoint, locate_start, locate_model, locate_weights):
        assert (locate("alice/flowers").kind, locate("alice/flowers").name) == ("hub", "alice/flowers")
    with pytest.raises(InputError, match=r"--dataset alice/flowers: no such folder, and no dataset on the Hub"):
        locate_dataset("alice/flowers")
    with pytest.raises(InputError, match=r"--from \./alice/flowers: no such folder$"):
        locate_start("./alice/flowers")
    saved = Path("alice/flowers/config.json")
    saved.parent.mkdir()
    saved.write_text("{}")
    assert locate_checkpoint("alice/flowers").kind == locate_model("alice/flowers").kind == "folder", "it is there"

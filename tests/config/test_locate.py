"""A name that is a path is called a path, where nothing is there."""

import pytest

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
        (locate_model, "runs/nope", "a model of this name on the Hub is runs/nope@main"),
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

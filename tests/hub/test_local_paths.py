"""Local paths are found and removed."""

from pathlib import Path

import pytest

from hf_cifar.hub.local_paths import local_paths, without_paths


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("this run's probe (/home/me/runs/a/probe/model)", "this run's probe (a/probe/model)"),
        ("weights from ~/models/net.pth", "weights from net.pth"),
        ("../shared/data/cifar10-jpeg", "cifar10-jpeg"),
        (r"C:\data\flowers", "flowers"),
        ("google/vit-base-patch16-224", "google/vit-base-patch16-224"),
        ("https://huggingface.co/a/b", "https://huggingface.co/a/b"),
        ("3/4 of the images, images/s", "3/4 of the images, images/s"),
        ("digits (scikit-learn)", "digits (scikit-learn)"),
    ],
)
def test_paths_are_reduced_to_names(text, cleaned):
    assert without_paths({"a": [text], "output_dir": text}, Path("/home/me/runs/a")) == {"a": [cleaned]}


def test_a_path_in_a_text_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_paths(f"see {tmp_path}/x", None) == [str(tmp_path)]
    assert local_paths(f"see {tmp_path}extra and x{tmp_path}", None) == []


def test_a_path_with_spaces_that_exists_is_reduced_to_its_name(tmp_path):
    folder = tmp_path / "my photos" / "cats and dogs"
    folder.mkdir(parents=True)
    assert without_paths([str(folder)], None) == ["cats and dogs"]


def test_keys_that_only_hold_a_path_are_removed_at_any_depth():
    values = {"a": {"feature_cache": "/x/y", "seed": 1, "none": None}, "model_dir": "b"}
    assert without_paths(values, None) == {"a": {"seed": 1, "none": None}}

"""What a card calls the base model; of runs and cards in test_hub_models too."""

import pytest

from hf_cifar.config.locate import Location
from hf_cifar.models.base_model import base_model_of, metrics_beside


@pytest.mark.parametrize(("location", "arch", "expected"), [
    (Location("hub", "google/vit-base", "v1"), None, "google/vit-base"),
    (Location("torchvision", "IMAGENET1K_V2"), "resnet50", "timm/resnet50.tv2_in1k"),
    (Location("torchvision", "IMAGENET1K_V1"), "resnet18", "timm/resnet18.tv_in1k"),
    (Location("torchvision", "IMAGENET1K_V9"), "resnet18", None),
    (Location("file", "weights.pth"), "resnet18", None),
    (Location("none", "none"), None, None),
])  # fmt: skip
def test_by_where_weights_are_from(location, arch, expected):
    assert base_model_of(location, arch) == expected


@pytest.mark.parametrize(("card", "expected"), [
    ("---\nbase_model: a/b@v2\n---\n# Card", "a/b"),
    ("---\nbase_model: [a/b]\n---\n", "a/b"),
    ("---\nbase_model: [a/b, c/d]\n---\n", None),
    ("---\nbase_model: /home/me/model\n---\n", None),
    ("---\nbase_model: [\n---\n", None),
    ("base_model: a/b", None),
    (None, None),
])  # fmt: skip
def test_of_a_folder_by_its_card(card, expected, tmp_path):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert base_model_of(Location("folder", str(tmp_path))) == expected
    assert not metrics_beside(str(tmp_path))

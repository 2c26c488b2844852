"""Networks at another image size, against what transformers and timm themselves make of it."""

import copy

import pytest
import torch
from PIL import Image
from support.families import FAMILIES, LABELS, SIZE
from support.models import build
from transformers import AutoModelForImageClassification, pipeline

from hf_cifar.config.options.model import ModelConfig
from hf_cifar.errors import InputError
from hf_cifar.models.native import save
from hf_cifar.models.processors import fit_processor

NEW = 48
# What the family itself does for another size: a flag of its forward pass, nothing special, or a method of timm's.
WITH_FLAG = ["vit", "deit", "deit-with-teacher", "vit-msn", "ijepa", "clip", "siglip", "hiera", "swin"]
IN_EVERY_PASS = ["beit", "data2vec", "dinov2", "dinov2-with-registers", "convnext", "mobilevit", "swin-v2"]
OF_TIMM = ["timm-vit", "timm-deit-distilled"]
# Position embeddings of these are interpolated once; the others have none, or interpolate in every pass.
STORED = {*WITH_FLAG, *OF_TIMM, "dinov2"} - {"swin"}


def truth(family: str, original: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits of the original network, resized by nobody but its own library."""
    if family in WITH_FLAG:
        return original(images, interpolate_pos_encoding=True).logits
    if family in OF_TIMM:
        original = copy.deepcopy(original)
        original.timm_model.set_input_size(img_size=(NEW, NEW))
    return original(images).logits


@pytest.mark.parametrize("family", [*WITH_FLAG, *IN_EVERY_PASS, *OF_TIMM])
@torch.no_grad()
def test_another_size_gives_the_logits_of_the_library_also_from_the_saved_folder(family, tmp_path):
    original = FAMILIES[family].save(tmp_path / "published")
    config = ModelConfig(model=str(tmp_path / "published"), image_size=NEW)
    built = build(config, list(LABELS.values()), seed=0)
    images = torch.randn(3, 3, NEW, NEW)
    expected = truth(family, original, images)
    torch.testing.assert_close(built.model.eval()(images).logits, expected, rtol=0, atol=1e-5)
    processor = fit_processor(built.processor, NEW, None)
    save(built.model, processor, tmp_path / "model")
    saved = AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(saved(images).logits, expected, rtol=0, atol=1e-5)
    shapes = {name: tensor.shape for name, tensor in original.state_dict().items()}
    changed = [name for name, tensor in saved.state_dict().items() if tensor.shape != shapes[name]]
    assert bool(changed) == (family in STORED)
    assert all("pos" in name for name in changed)

    again = build(ModelConfig(model=str(tmp_path / "model"), image_size=NEW), list(LABELS.values()), seed=0)
    first = built.model.state_dict()
    assert all(torch.equal(tensor, first[name]) for name, tensor in again.model.state_dict().items()), "done twice"

    picture = Image.effect_noise((70, 60), 80).convert("RGB")
    answer = pipeline("image-classification", model=str(tmp_path / "model"))(picture, top_k=len(LABELS))
    scores = {item["label"]: item["score"] for item in answer}
    pixels = processor(images=[picture], return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, NEW, NEW)
    for label, score in zip(LABELS.values(), truth(family, original, pixels).softmax(1)[0], strict=True):
        assert scores[label] == pytest.approx(float(score), abs=1e-5)


@pytest.mark.parametrize("family", ["vit", "clip", "hiera"])
def test_the_saved_configuration_says_the_new_size(family, tmp_path):
    FAMILIES[family].save(tmp_path)
    config = build(ModelConfig(model=str(tmp_path), image_size=NEW), ["a", "b"], 0).model.config
    size = getattr(config, "vision_config", config).image_size
    assert size == ([NEW, NEW] if family == "hiera" else NEW)


@pytest.mark.parametrize(("family", "size", "message"), [
    ("vit", 30, "30 is not a multiple of ViTForImageClassification's patches of 8 pixels: use 24 or 32"),
    ("timm-vit", 52, "52 is not a multiple of vit_tiny_patch16_224's patches of 8 pixels: use 48 or 56"),
    ("levit", 96, "96 does not work with LevitForImageClassification: sizes that do: 64"),
    ("pvt", 64, "64 does not work with PvtForImageClassification: sizes that do: 32"),
    ("hiera", 40, "40 does not work with HieraForImageClassification: sizes that do: 32, 64"),
])  # fmt: skip
def test_a_size_that_cannot_be_is_refused_with_those_that_can(family, size, message, tmp_path):
    FAMILIES[family].save(tmp_path)
    with pytest.raises(InputError, match=f"--image-size {message}"):
        build(ModelConfig(model=str(tmp_path), image_size=size), ["a", "b"], 0)


def test_swin_takes_what_its_windows_fit_into(tmp_path):
    """Its windows shrink for good after a small image, so what is tried must be a copy."""
    FAMILIES["swin"].save(tmp_path, window_size=8)
    with pytest.raises(InputError, match=r"--image-size 24 does not work with SwinForImage.*sizes that do: 32"):
        build(ModelConfig(model=str(tmp_path), image_size=24), ["a", "b"], 0)
    model = build(ModelConfig(model=str(tmp_path)), ["a", "b"], 0).model
    assert {module.window_size for module in model.modules() if type(module).__name__ == "SwinLayer"} == {8}


def test_without_a_size_nothing_is_changed(tmp_path):
    original = FAMILIES["vit"].save(tmp_path)
    model = build(ModelConfig(model=str(tmp_path)), list(LABELS.values()), 0).model
    assert model.config.image_size == SIZE
    assert all(torch.equal(tensor, original.state_dict()[name]) for name, tensor in model.state_dict().items())

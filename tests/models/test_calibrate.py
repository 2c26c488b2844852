"""A temperature in the head: the softmax of it is that of the divided logits."""

import numpy as np
import pytest
import torch
from support.families import FAMILIES
from transformers import AutoModelForImageClassification

from hf_cifar.errors import InputError
from hf_cifar.models.calibrate import divide_head, remember_temperature


def pixels_of(family: str) -> torch.Tensor:
    images = list(np.random.default_rng(1).integers(0, 256, (4, 40, 40, 3), dtype=np.uint8))
    return FAMILIES[family].make_processor()(images=images, return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("family", ["resnet", "vit", "deit-with-teacher", "dinov2", "timm-deit-distilled"])
@pytest.mark.parametrize("temperature", [0.3, 4.2])
def test_scores_are_those_of_the_divided_logits_and_answers_stay(family, temperature, tmp_path):
    model, pixels = FAMILIES[family].make(), pixels_of(family)
    with torch.inference_mode():
        before = model(pixels).logits.double().numpy()
    divide_head(model, temperature, pixels[:2])
    with torch.inference_mode():
        found = model(pixels).logits.softmax(dim=1).numpy()
    powers = np.exp((before - before.max(axis=1, keepdims=True)) / temperature)
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    assert (found.argmax(axis=1) == before.argmax(axis=1)).all()
    if not FAMILIES[family].timm:
        model.save_pretrained(tmp_path)
        again = AutoModelForImageClassification.from_pretrained(tmp_path)
        assert again.config.calibration_temperature == 1.0 and again.config.head_divided_by == temperature


def test_logits_that_are_no_linear_map_of_the_head_are_refused():
    model, pixels = FAMILIES["resnet"].make(), pixels_of("resnet")
    forward = model.forward

    def squared(*arguments, **options):
        output = forward(*arguments, **options)
        output.logits = output.logits.square()
        return output

    model.forward = squared
    with pytest.raises(InputError, match="--calibrate: the logits of ResNetForImageClassification are not those of"):
        divide_head(model, 2.0, pixels)


def test_a_model_that_training_started_from_is_no_longer_divided():
    config = FAMILIES["resnet"].make().config
    config.head_divided_by = 3.0
    remember_temperature(config, 1.5)
    assert config.calibration_temperature == 1.5 and "head_divided_by" not in config.to_dict()

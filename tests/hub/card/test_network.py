"""A saved model in words."""

import pytest
from support.made_run import PROCESSOR, RESNET18

from hf_cifar.hub.card.network import architecture, input_size, preprocessing


def test_networks_by_their_usual_names():
    vit = {"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}
    assert architecture(vit) == "ViT-B/16"
    assert architecture(RESNET18) == "ResNet-18"
    assert architecture({**RESNET18, "hidden_sizes": [16, 32, 64, 128]}) == "narrow ResNet-18"
    assert architecture({"model_type": "swin", "architectures": ["SwinForImageClassification"]}) == "Swin"
    assert architecture({}) == "image classifier"


@pytest.mark.parametrize(
    ("processor", "size"),
    [
        (PROCESSOR, (64, 64)),
        ({"size": {"shortest_edge": 224}}, (224, 224)),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 200}},
            (224, 200),
        ),
        ({}, None),
    ],
)
def test_input_sizes(processor, size):
    assert input_size(processor) == size


def test_steps_of_a_processor_that_crops():
    values = {**PROCESSOR, "size": {"shortest_edge": 256}, "resample": 3, "crop_pct": 0.875}
    values |= {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    assert preprocessing(values) == [
        "converted to RGB",
        "resized to a shorter edge of 256 pixels (bicubic, center crop of 0.875)",
        "center-cropped to 224x224 pixels",
        "scaled to [0, 1]",
        "normalized with mean (0.485, 0.456, 0.406) and standard deviation (0.229, 0.224, 0.225)",
    ]

"""The head, and the features it gets, whatever the family."""

import pytest
import torch
from conftest import tiny_resnet
from transformers import ViTConfig, ViTForImageClassification

from hf_cifar.config import ModelConfig
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import backbone_layers, head, head_name, pooled_features
from hf_cifar.models.build import build_model


def tiny_vit():
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        num_labels=3,
    )
    return ViTForImageClassification(config).eval()


MODELS = {
    "torchvision": (lambda: build_model(ModelConfig(weights="none"), ["a", "b"], 0).model, "network.fc"),
    "native": (tiny_resnet, "classifier.1"),
    "vit": (tiny_vit, "classifier"),
}


@pytest.mark.parametrize("family", MODELS)
def test_head_on_its_features_is_the_model(family):
    make, name = MODELS[family]
    model = make().eval()
    assert head_name(model) == name
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        features = pooled_features(model, images)
        torch.testing.assert_close(head(model)(features), model(images).logits)
    assert features.shape == (2, head(model).in_features)


@pytest.mark.parametrize("family", MODELS)
def test_backbone_and_head_are_all_there_is(family):
    model = MODELS[family][0]()
    backbone = [model.get_submodule(name) for name in backbone_layers(model)]
    parts = [id(p) for module in (*backbone, head(model)) for p in module.parameters()]
    assert sorted(parts) == sorted(id(p) for p in model.parameters())


def test_a_model_without_a_linear_head_is_refused():
    model = tiny_resnet()
    model.classifier[1] = torch.nn.Identity()
    with pytest.raises(InputError, match="no linear classifier with 5 outputs"):
        head_name(model)

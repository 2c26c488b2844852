"""The head, and the features it gets, whatever the family."""

import pytest
import torch
from conftest import tiny_resnet
from transformers import ViTConfig, ViTForImageClassification

from hf_cifar.config import ModelConfig
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import (
    backbone_layers,
    find_layers,
    head,
    head_names,
    layer_groups,
    layers_outside,
    pooled_features,
)
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
    assert head_names(model) == [name]
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
        head_names(model)


def test_layers_are_found_by_the_end_of_their_name_and_by_torchvisions_name():
    wrapped, native = MODELS["torchvision"][0](), tiny_resnet()
    assert find_layers(wrapped, ["layer4", "network.conv1"]) == ["network.layer4", "network.conv1"]
    assert find_layers(native, ["stages.1", "layer2", "head"]) == [
        "resnet.encoder.stages.1",
        "resnet.encoder.stages.1",
        "classifier.1",
    ]
    assert find_layers(tiny_vit(), ["embeddings"]) == ["vit.embeddings"]


@pytest.mark.parametrize("family", MODELS)
def test_what_is_outside_some_layers_is_all_of_the_backbone_but_them(family):
    model = MODELS[family][0]()
    chosen = layer_groups(model)[-2].layers
    outside = layers_outside(model, chosen)
    frozen = {
        id(parameter)
        for name, parameter in model.named_parameters()
        if any(name == layer or name.startswith(f"{layer}.") for layer in outside)
    }
    kept = {id(p) for name in (*chosen, *head_names(model)) for p in model.get_submodule(name).parameters()}
    assert frozen and not frozen & kept
    assert frozen | kept == {id(parameter) for parameter in model.parameters()}
    assert layers_outside(model, []) == backbone_layers(model)


@pytest.mark.parametrize("family", MODELS)
def test_layer_groups_are_in_the_order_that_images_pass_through_them(family):
    model = MODELS[family][0]().eval()
    order = []
    for group in layer_groups(model):
        for name in group.layers:
            module = model.get_submodule(name)
            module.register_forward_hook(lambda *_, name=group.name: order.append(name))
    with torch.no_grad():
        model(torch.randn(1, 3, 16, 16))
    assert list(dict.fromkeys(order)) == [group.name for group in layer_groups(model)]
    layers = [model.get_submodule(name) for group in layer_groups(model) for name in group.layers]
    everything = [id(parameter) for layer in layers for parameter in layer.parameters()]
    assert sorted(everything) == sorted(id(p) for p in model.parameters())


def test_a_class_token_is_in_the_first_group():
    class Token(torch.nn.Module):
        """A backbone with a parameter of its own beside its modules, as timm's ViTs have."""

        def __init__(self):
            super().__init__()
            self.cls_token = torch.nn.Parameter(torch.zeros(4))
            self.blocks = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))
            self.head = torch.nn.Linear(4, 3)

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.timm_model = Token()
            self.config = type("Config", (), {"num_labels": 3})()

    groups = layer_groups(Wrapped())
    assert [group.layers for group in groups] == [
        ["timm_model.cls_token"],
        ["timm_model.blocks.0"],
        ["timm_model.blocks.1"],
        ["timm_model.head"],
    ]

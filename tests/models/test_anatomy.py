"""The head, and the features it gets, whatever the family."""

import pytest
import torch
from support.families import FAMILIES
from support.models import build, tiny_resnet

from hf_cifar.config.options.model import ModelConfig
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

TORCHVISION = "torchvision"


def make(family: str):
    """The family's tiny model, and the side of its images."""
    if family == TORCHVISION:
        model = build(ModelConfig(weights="none"), ["a", "b"], 0).model.eval()
        return model, 32
    return FAMILIES[family].make(), FAMILIES[family].size


every_family = pytest.mark.parametrize("family", [TORCHVISION, *FAMILIES])


@every_family
def test_head_on_its_features_is_the_model(family):
    model, size = make(family)
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        features = pooled_features(model, images)
        logits = model(images).logits
        torch.testing.assert_close(head(model)(features), logits)
        assert logits.std(0).max() > 1e-4, "the same answer for every image proves nothing"
        weight, bias = torch.randn(head(model).out_features, head(model).in_features), torch.randn(logits.shape[1])
        head(model).install(weight, bias)
        torch.testing.assert_close(model(images).logits, features @ weight.T + bias, rtol=1e-4, atol=1e-4)
    assert features.shape == (3, head(model).in_features)
    if family != TORCHVISION:
        assert features.shape[1] == FAMILIES[family].features
        assert tuple(head_names(model)) == FAMILIES[family].head


def test_features_of_dinov2_are_its_class_token_and_the_mean_of_its_patches():
    model, size = make("dinov2")
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        tokens = model.dinov2(images).last_hidden_state
        expected = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
        torch.testing.assert_close(pooled_features(model, images), expected)


@every_family
def test_backbone_and_head_are_all_there_is(family):
    model, _ = make(family)
    backbone = parameters_below(model, backbone_layers(model))
    assert sorted([*backbone, *map(id, head(model).parameters())]) == sorted(map(id, model.parameters()))


def parameters_below(model, layers) -> list[int]:
    known = {**dict(model.named_parameters()), **dict(model.named_modules())}
    found = [known[name] for name in layers]
    return [id(one) for layer in found for one in ([layer] if torch.is_tensor(layer) else layer.parameters())]


@every_family
def test_layer_groups_hold_every_parameter_once_and_are_in_the_order_of_the_images(family):
    model, size = make(family)
    groups = layer_groups(model)
    if family != TORCHVISION:
        assert tuple(group.name for group in groups) == (*FAMILIES[family].groups, "head")
    everything = [one for group in groups for one in parameters_below(model, group.layers)]
    assert sorted(everything) == sorted(map(id, model.parameters()))
    place = {one: number for number, group in enumerate(groups) for one in parameters_below(model, group.layers)}
    order = []
    for module in model.modules():
        for number in {place[id(parameter)] for parameter in module.parameters(recurse=False)}:
            module.register_forward_pre_hook(lambda *_, number=number: order.append(number))
    with torch.no_grad():
        model(torch.randn(1, 3, size, size))
    assert set(order) == set(range(len(groups))), "a group has no layer that runs"
    assert order[-1] == len(groups) - 1, "the head does not run last"
    # Two heads run side by side, each after its own norm.
    backbone = [number for number in order if number < len(groups) - 1]
    assert backbone == sorted(backbone), "a layer runs before one of an earlier group"


def test_a_model_without_a_linear_head_is_refused():
    model = tiny_resnet()
    model.classifier[1] = torch.nn.Identity()
    with pytest.raises(InputError, match="no linear classifier with 5 outputs"):
        head_names(model)


def test_layers_are_found_by_the_end_of_their_name_and_by_torchvisions_name():
    wrapped, native = make(TORCHVISION)[0], tiny_resnet()
    assert find_layers(wrapped, ["layer4", "network.conv1"]) == ["network.layer4", "network.conv1"]
    assert find_layers(native, ["stages.1", "layer2", "head"]) == [
        "resnet.encoder.stages.1",
        "resnet.encoder.stages.1",
        "classifier.1",
    ]
    assert find_layers(make("vit")[0], ["embeddings"]) == ["vit.embeddings"]


@every_family
def test_what_is_outside_some_layers_is_all_of_the_backbone_but_them(family):
    model, _ = make(family)
    chosen = layer_groups(model)[-2].layers
    frozen = set(parameters_below(model, layers_outside(model, chosen)))
    kept = set(parameters_below(model, (*chosen, *head_names(model))))
    assert frozen and not frozen & kept
    assert frozen | kept == {id(parameter) for parameter in model.parameters()}
    assert layers_outside(model, []) == backbone_layers(model)


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

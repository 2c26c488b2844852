"""One linear map, whatever layers it is made of."""

import pytest
import torch
from support.random_state import spy_on_accelerators
from torch import nn

from hf_cifar.errors import InputError
from hf_cifar.models.head import Head


def layers(count, bias=True):
    torch.manual_seed(count)
    return [nn.Linear(3 + index, 4, bias=bias) for index in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_logits_are_the_mean_of_the_layers(count):
    parts = layers(count)
    inputs = [torch.randn(5, layer.in_features) for layer in parts]
    expected = torch.stack([layer(features) for layer, features in zip(parts, inputs, strict=True)]).mean(0)
    head = Head(parts)
    torch.testing.assert_close(head(torch.cat(inputs, dim=1)), expected)
    assert (head.in_features, head.out_features) == (sum(range(3, 3 + count)), 4)
    assert head.num_parameters == sum(layer.weight.numel() + 4 for layer in parts)


@pytest.mark.parametrize("count", [1, 2])
def test_an_installed_map_is_what_the_layers_compute(count):
    head = Head(layers(count))
    weight, bias = torch.randn(4, head.in_features), torch.randn(4)
    head.install(weight, bias)
    features = torch.randn(6, head.in_features)
    torch.testing.assert_close(head(features), features @ weight.T + bias)


def test_a_head_without_a_bias_cannot_be_any_map():
    head = Head(layers(2, bias=False))
    assert head.bias is None
    with pytest.raises(InputError, match="has no bias"):
        head.install(torch.zeros(4, 7), torch.zeros(4))


def test_renewed_weights_are_those_that_linear_draws_after_the_seed(monkeypatch):
    head = Head(layers(2))
    torch.manual_seed(7)
    expected = [nn.Linear(3, 4), nn.Linear(4, 4)]
    torch.manual_seed(1)
    after = torch.rand(2)
    torch.manual_seed(1)
    touched = spy_on_accelerators(monkeypatch)
    head.renew(7)
    assert not touched
    assert torch.equal(torch.rand(2), after)
    for layer, fresh in zip(head.layers, expected, strict=True):
        assert torch.equal(layer.weight, fresh.weight) and torch.equal(layer.bias, fresh.bias)


def test_mode_is_that_of_all_layers():
    head = Head(layers(2))
    assert head.training
    head.layers[1].eval()
    assert not head.training

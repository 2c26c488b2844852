"""Convolutions on small maps: the numbers and gradients of torch's own, and only where they apply."""

import pytest
import torch
from torch import nn

from hf_cifar.models import small_maps
from hf_cifar.models.small_maps import multiply_small_maps


def pair(**options) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 5, **options)
    ours = nn.Conv2d(6, 5, **options)
    ours.load_state_dict(plain.state_dict())
    assert multiply_small_maps(nn.Sequential(ours)) == 1
    return plain, ours


@pytest.fixture
def used(monkeypatch):
    calls = []
    original = small_maps._SmallMap.apply
    monkeypatch.setattr(small_maps._SmallMap, "apply", lambda *given: calls.append(1) or original(*given))
    return calls


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((2, 2), {"kernel_size": 3, "padding": 1}),
        ((1, 1), {"kernel_size": 3, "padding": 1}),
        ((4, 4), {"kernel_size": 3, "padding": 1, "stride": 2}),
        ((3, 4), {"kernel_size": 3, "padding": 1, "stride": 2}),
        ((1, 3), {"kernel_size": (1, 3), "padding": (0, 1)}),
        ((5, 2), {"kernel_size": (5, 3), "padding": (0, 2)}),
        ((2, 2), {"kernel_size": 7, "padding": 3}),
        ((8, 8), {"kernel_size": 4, "stride": 4}),
        ((1, 1), {"kernel_size": 3, "padding": 2, "stride": 4}),  # the one place of the output reads a corner
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torch(size, options, bias, layout, used):
    plain, ours = pair(**options, bias=bias)
    nn.Module.to(ours, memory_format=layout)
    images = torch.randn(3, 6, *size).contiguous(memory_format=layout)
    found = []
    for module in (plain, ours):
        given = images.clone(memory_format=torch.preserve_format).requires_grad_()
        result = module(given)
        (result * torch.arange(result.numel()).view_as(result).sin()).sum().backward()
        found.append([result, given.grad, *(parameter.grad for parameter in module.parameters())])
    for theirs, values in zip(*found, strict=True):
        torch.testing.assert_close(values, theirs, rtol=1e-5, atol=1e-5)
    assert len(used) == 1


def test_gradients_by_differences():
    _, ours = pair(kernel_size=3, padding=1)
    double = ours.weight.detach().double().requires_grad_()
    images = torch.randn(2, 6, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda pixels, weight: small_maps._SmallMap.apply(pixels, weight, None, (1, 1), (1, 1)), (images, double)
    )


def test_larger_maps_other_precisions_and_other_convolutions_are_left_to_torch(used):
    plain, ours = pair(kernel_size=3, padding=1)
    images = torch.randn(2, 6, 3, 3)
    assert torch.equal(plain(images), ours(images))
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(images[..., :2, :2]).dtype == torch.bfloat16
    assert not used
    others = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, padding="same"),
    )
    assert multiply_small_maps(others) == 0


def test_frozen_weights_get_no_gradient():
    _, ours = pair(kernel_size=3, padding=1)
    ours.requires_grad_(False)
    images = torch.randn(2, 6, 2, 2, requires_grad=True)
    ours(images).sum().backward()
    assert images.grad is not None and ours.weight.grad is None

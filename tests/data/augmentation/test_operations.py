"""Each operation on a batch is torchvision's on each image, bit for bit, at every magnitude of both policies."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from hf_cifar.data.augmentation.operations import OPERATIONS
from hf_cifar.data.augmentation.policies import BINS, POLICIES, SIGNED

SPACES = {"trivial": v2.TrivialAugmentWide(), "rand": v2.RandAugment()}


def images(count: int, height: int, width: int) -> torch.Tensor:
    """Smooth pictures with some noise, one of a single colour and one of few levels among them."""
    generator = torch.Generator().manual_seed(height)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").mul(255)
    made = (smooth + torch.randn(smooth.shape, generator=generator) * 9).clamp(0, 255).to(torch.uint8)
    made[0], made[1] = 77, made[1] // 64 * 64
    return made


def magnitudes(policy: str, name: str, height: int, width: int) -> list[tuple[float, float]]:
    """Ours and torchvision's magnitude of an operation in each bin, with both signs."""
    theirs, signed = SPACES[policy]._AUGMENTATION_SPACE[name]
    ours = POLICIES[policy].magnitudes[name]
    if ours is None:
        return [(0.0, 0.0)]
    pairs = zip(ours(height, width).tolist(), theirs(BINS, height, width).tolist(), strict=True)
    return [(sign * a, sign * b) for a, b in pairs for sign in ((1, -1) if signed else (1,))]


@pytest.mark.parametrize("policy", SPACES)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (23, 17)])
def test_as_torchvision(policy, name, height, width):
    pairs = magnitudes(policy, name, height, width)
    pairs = pairs if len(pairs) > 1 else pairs * 9
    batch = images(len(pairs), height, width)
    found = OPERATIONS[name](batch.clone(), torch.tensor([ours for ours, _ in pairs], dtype=torch.float64))
    for image, (_, value), ours in zip(batch, pairs, found, strict=True):
        theirs = SPACES[policy]._apply_image_or_video_transform(
            image, name, value, v2.InterpolationMode.NEAREST, {torch.Tensor: None, "others": None}
        )
        assert torch.equal(ours, theirs), value


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_image_does_not_feel_its_neighbours(name):
    batch = images(9, 32, 32)
    values = torch.linspace(0.1, 0.9, 9, dtype=torch.float64) * (8 if name in ("Posterize", "TranslateX") else 1)
    together = OPERATIONS[name](batch.clone(), values)
    alone = [OPERATIONS[name](batch[place : place + 1].clone(), values[place : place + 1]) for place in range(9)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("policy", SPACES)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 60)])
def test_magnitudes_are_torchvisions(policy, height, width):
    space = SPACES[policy]._AUGMENTATION_SPACE
    assert set(POLICIES[policy].magnitudes) == set(space)
    for name, (theirs, signed) in space.items():
        ours, expected = POLICIES[policy].magnitudes[name], theirs(BINS, height, width)
        assert (ours is None) == (expected is None) and signed == (name in SIGNED)
        if ours is not None:
            np.testing.assert_allclose(ours(height, width), expected.double().numpy(), rtol=1e-15, err_msg=name)

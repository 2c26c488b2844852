"""The perceptual hash: near for the same picture, far for another one."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from hf_cifar.audit.perceptual_hash import BITS, differing_bits, perceptual_hash


def picture(seed: int, side: int = 96) -> Image.Image:
    """A smooth picture: few blobs of colour, as photographs have."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def distance(first: Image.Image, second: Image.Image) -> int:
    return int(differing_bits(perceptual_hash(first)[None], perceptual_hash(second)[None])[0])


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file).convert("RGB")


CHANGES = {
    "jpeg": jpeg,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "smaller": lambda image: image.resize((40, 40)),
    "larger": lambda image: image.resize((301, 301)),
    "cropped": lambda image: image.crop((2, 2, 94, 94)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_near_and_another_picture_far(change):
    near = [distance(picture(seed), change(picture(seed))) for seed in range(20)]
    far = [distance(picture(seed), change(picture(seed + 100))) for seed in range(20)]
    assert max(near) <= 36 < min(far)  # the default of --near-hash
    assert np.mean(far) == pytest.approx(BITS / 2, rel=0.15)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (8, 8)])
def test_any_size_has_a_hash(size):
    assert perceptual_hash(Image.new("RGB", size, "red")).shape == (16,)


def test_bits_are_counted():
    first, second = np.array([[0] * 15 + [0b101], [255] * 16], dtype=np.uint8), np.zeros((2, 16), dtype=np.uint8)
    assert differing_bits(first, second).tolist() == [2, 128]

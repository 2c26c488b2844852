"""Processors of another size and normalisation; those of timm are in test_build."""

import numpy as np
import pytest
from PIL import Image
from support.models import processor
from transformers import AutoImageProcessor, CLIPImageProcessor, ConvNextImageProcessor, ViTImageProcessor

from hf_cifar.errors import InputError
from hf_cifar.models.processors import fit_processor, output_size, own_statistics


@pytest.mark.parametrize("make", [
    lambda: processor(32),
    lambda: CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=32),
    lambda: ConvNextImageProcessor(size={"shortest_edge": 32}),
])  # fmt: skip
def test_a_fitted_processor_makes_the_size_and_normalises_by_the_statistics(make, tmp_path):
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 0.2]
    fitted = fit_processor(make(), 48, (mean, std))
    assert output_size(make()) == (32, 32) and output_size(fitted) == (48, 48)
    assert own_statistics(fitted) == (mean, std)
    fitted.save_pretrained(tmp_path)
    saved = AutoImageProcessor.from_pretrained(tmp_path)
    grey = Image.new("RGB", (60, 60), (102, 102, 102))
    pixels = saved(images=grey, return_tensors="np")["pixel_values"][0]
    expected = (0.4 - np.array(mean)) / np.array(std)
    assert pixels.shape == (3, 48, 48)
    np.testing.assert_allclose(pixels.reshape(3, -1), np.repeat(expected[:, None], 48 * 48, 1), atol=1e-5)


def test_nothing_asked_for_is_the_same_processor():
    given = processor(32)
    assert fit_processor(given, None, None) is given


def test_what_a_processor_does_not_do_is_refused():
    with pytest.raises(InputError, match=r"--normalization dataset: ViTImageProcessor.* does not normalise"):
        fit_processor(ViTImageProcessor(do_normalize=False), None, ([0.5] * 3, [0.5] * 3))
    with pytest.raises(InputError, match=r"--image-size 64: .* ignores it and makes images of 48 x 48 pixels"):
        fit_processor(ViTImageProcessor(do_resize=False), 64, None)

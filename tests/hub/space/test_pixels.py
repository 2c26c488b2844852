"""The page's pixels are those of the image processor, within a level of 255."""

import base64
import json

import numpy as np
import pytest
from PIL import Image
from support.browser import run_script, skip_without_node
from transformers import BitImageProcessor, CLIPImageProcessor, ConvNextImageProcessor, ViTImageProcessor

from hf_cifar.errors import InputError
from hf_cifar.hub.space import build
from hf_cifar.hub.space.steps import page_steps

PAGE = build.Path(build.__file__).parent
SIZES = [(32, 32), (16, 16), (31, 47), (200, 60), (5, 9), (300, 301)]
PROCESSORS = {
    "bilinear": ViTImageProcessor(size={"height": 24, "width": 24}, resample=2),
    "bicubic": ViTImageProcessor(size={"height": 48, "width": 40}, resample=3, image_mean=[0.1, 0.2, 0.3]),
    "shortest edge and crop": BitImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3, do_center_crop=True
    ),
    "crop of a small image": CLIPImageProcessor(
        size={"shortest_edge": 20}, crop_size={"height": 32, "width": 28}, resample=3, do_center_crop=True
    ),
    "margin": ConvNextImageProcessor(size={"shortest_edge": 28}, crop_pct=0.875, resample=2),
    "no margin": ConvNextImageProcessor(size={"shortest_edge": 384}, crop_pct=0.875, resample=3),
    "not normalised": ViTImageProcessor(size={"height": 24, "width": 24}, do_normalize=False),
}


@pytest.fixture(scope="module")
def compared():
    """Name of a processor -> for each image the pixels of the page, those of the processor, and the size of a level."""
    skip_without_node()
    images = [np.random.default_rng(n).integers(0, 256, (*size, 3), dtype=np.uint8) for n, size in enumerate(SIZES)]
    asked, expected = [], []
    for processor in PROCESSORS.values():
        steps = page_steps(processor.to_dict())
        for image in images:
            rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
            data = base64.b64encode(rgba.tobytes()).decode()
            asked.append({"steps": steps, "height": image.shape[0], "width": image.shape[1], "data": data})
            pixels = processor(images=[Image.fromarray(image)], return_tensors="np")["pixel_values"][0]
            expected.append((pixels, steps["scale"] / min(steps["std"])))
    return asked, expected


@pytest.fixture(scope="module")
def made(compared, tmp_path_factory):
    file = tmp_path_factory.mktemp("pixels") / "asked.json"
    file.write_text(json.dumps(compared[0]))
    return run_script("pixels.mjs", PAGE, file)


@pytest.mark.parametrize("name", list(PROCESSORS))
def test_they_are_those_of_the_processor(compared, made, name):
    first = list(PROCESSORS).index(name) * len(SIZES)
    for answer, (expected, level) in list(zip(made, compared[1], strict=True))[first : first + len(SIZES)]:
        pixels = np.frombuffer(base64.b64decode(answer["values"]), np.float32)
        pixels = pixels.reshape(3, answer["height"], answer["width"])
        assert pixels.shape == expected.shape
        difference = np.abs(pixels - expected) / level
        assert difference.max() <= 1.01, "a level at most"
        assert (difference > 0.5).mean() < 0.05, "and seldom"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_processor_type": "LevitImageProcessor"}, "cannot do what Levit image processor"),
        ({"do_pad": True}, "neither pads nor crops twice"),
        ({"image_processor_type": None}, "cannot do what its image processor"),
        ({"resample": 1}, "no resize filter 1"),
        ({"size": {"longest_edge": 9}}, "cannot resize to"),
    ],
)
def test_what_the_page_cannot_do_is_refused(change, message):
    values = {**PROCESSORS["bilinear"].to_dict(), **change}
    with pytest.raises(InputError, match=message):
        page_steps(values)

"""Augmented images: drawn in the colours that they have, whatever the processor does to them."""

import numpy as np
import pytest
from PIL import Image
from support.families import FAMILIES
from transformers import BitImageProcessor, MobileViTImageProcessor, TimmWrapperImageProcessor, ViTImageProcessor

from hf_cifar.data.transforms import Transform
from hf_cifar.evaluation.figures.augmentation import AugmentedRow, draw_augmented, undo_processor

SIDE = 32
SIZE = {"height": SIDE, "width": SIDE}
IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
TIMM = {
    "input_size": [3, SIDE, SIDE],
    "mean": [0.3, 0.5, 0.7],
    "std": [0.1, 0.2, 0.3],
    "interpolation": "bicubic",
    "crop_pct": 1.0,
}
# Each leaves images of 32 pixels at their size.
PROCESSORS = {
    "ViT": ViTImageProcessor(size=SIZE, image_mean=[0.3, 0.5, 0.7], image_std=[0.1, 0.2, 0.3]),
    "ResNet": BitImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIZE),
    "timm": TimmWrapperImageProcessor(pretrained_cfg=TIMM),
    "MobileViT": MobileViTImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIZE),
    "not normalised": ViTImageProcessor(size=SIZE, do_normalize=False),
    "not rescaled": ViTImageProcessor(size=SIZE, do_normalize=False, do_rescale=False),
}


def processed(processor, images: np.ndarray) -> np.ndarray:
    pictures = [Image.fromarray(image) for image in images]
    return Transform(processor)(pictures, [0] * len(pictures)).numpy()


@pytest.mark.parametrize("name", PROCESSORS)
def test_drawn_pixels_are_those_that_went_into_the_processor(name):
    drawn = undo_processor(processed(PROCESSORS[name], IMAGES), PROCESSORS[name])
    assert drawn.dtype == np.uint8
    assert np.abs(drawn.astype(int) - IMAGES).max() <= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_its_colours(name):
    processor = FAMILIES[name].make_processor()
    colours = np.array([(200, 30, 90), (10, 250, 130)], dtype=np.uint8)
    plain = np.broadcast_to(colours[:, None, None], (2, SIDE, SIDE, 3))
    drawn = undo_processor(processed(processor, plain), processor)
    middle = drawn[:, drawn.shape[1] // 2, drawn.shape[2] // 2].astype(int)
    assert np.abs(middle - colours).max() <= 1


@pytest.mark.parametrize("is_mixed", [False, True])
def test_the_picture_holds_each_image_in_its_colours_and_captions(is_mixed, figures, tmp_path):
    processor = PROCESSORS["MobileViT"]
    colours = [(200, 30, 90), (10, 250, 130)]
    plain = np.broadcast_to(np.array(colours, dtype=np.uint8)[:, None, None], (2, SIDE, SIDE, 3))
    targets = np.array([[0.75, 0.25, 0.0], [0.0, 1.0, 0.0]]) if is_mixed else None
    row = AugmentedRow("epoch 1", processed(processor, plain), np.array([0, 1]), targets)
    draw_augmented(tmp_path / "it.png", [row], processor, ["ape", "bee", "cat"])
    with Image.open(tmp_path / "it.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in colours:
        assert (np.abs(pixels.astype(int) - colour) <= 1).all(axis=1).sum() == 139 * 139
    texts = {text.get_text() for text in figures[0].texts}
    assert {"epoch 1", *(["ape 75%\nbee 25%", "bee 100%"] if is_mixed else ["ape", "bee"])} <= texts

"""Pixels made by numpy and Pillow, against those of the processors of transformers and timm."""

import json

import numpy as np
import pytest
import transformers
from PIL import Image
from support.families import FAMILIES
from support.family import IMAGENET, TIMM

from hf_cifar.errors import InputError
from hf_cifar.formats.pillow_processor import PillowProcessor

SIZES = [(1, 1), (3, 3), (3, 40), (40, 3), (200, 130), (33, 47)]
MORE = {
    "convnext-384": transformers.ConvNextImageProcessor(size={"shortest_edge": 384}),
    "convnext-cropped-again": transformers.ConvNextImageProcessor(
        size={"shortest_edge": 32}, crop_pct=0.5, do_center_crop=True, crop_size={"height": 20, "width": 24}
    ),
    "efficientnet-offset": transformers.EfficientNetImageProcessor(
        size={"height": 20, "width": 24}, rescale_offset=True, include_top=False
    ),
    "poolformer-square": transformers.PoolFormerImageProcessor(size={"height": 32, "width": 32}),
    "poolformer-oblong": transformers.PoolFormerImageProcessor(size={"height": 32, "width": 40}),
    "levit-square": transformers.LevitImageProcessor(size={"height": 32, "width": 40}),
    "crop-larger-than-image": transformers.CLIPImageProcessor(do_resize=False, crop_size={"height": 45, "width": 36}),
    "vit-as-it-is": transformers.ViTImageProcessor(do_resize=False, **IMAGENET),
    "vit-only-rescaled": transformers.ViTImageProcessor(do_resize=False, do_normalize=False),
    "vit-only-normalised": transformers.ViTImageProcessor(do_resize=False, do_rescale=False),
    "segformer-never-crops": transformers.SegformerImageProcessor(
        size={"height": 32, "width": 32}, do_center_crop=True, crop_size={"height": 8, "width": 8}
    ),
    "timm-squashed": transformers.TimmWrapperImageProcessor(
        pretrained_cfg={**TIMM, "input_size": [3, 31, 31], "crop_mode": "squash"}
    ),
}


def processors():
    """One of each that the families have, and of each way that they can be set up."""
    every = {name: family.make_processor() for name, family in FAMILIES.items()} | MORE
    return {processor.to_json_string(): pytest.param(processor, id=name) for name, processor in every.items()}.values()


def pictures():
    rng = np.random.default_rng(0)
    small = (rng.integers(0, 256, (max(1, h // 3), max(1, w // 3), 3), dtype=np.uint8) for w, h in SIZES)
    smooth = [Image.fromarray(part).resize(size) for part, size in zip(small, SIZES, strict=True)]
    return [*smooth, Image.fromarray(rng.integers(0, 256, (57, 41, 3), dtype=np.uint8))]


@pytest.mark.parametrize("processor", processors())
def test_pixels_are_those_of_the_saved_processor_but_for_the_rounding_of_a_resize(processor):
    values = json.loads(processor.to_json_string())
    ours = PillowProcessor(values, "the model")
    exact = ours.kind == "TimmWrapperImageProcessor" or not values["do_resize"]
    for picture in pictures():
        theirs = processor(images=[picture], return_tensors="pt")["pixel_values"][0].numpy()
        found = ours(picture)
        assert found.shape == theirs.shape and found.dtype == np.float32
        # A step of one level of 255 is this high: the factor and the divisors that follow it.
        level = values.get("rescale_factor", 1)
        if values.get("do_normalize"):
            level = level / np.array(values["image_std"]).reshape(-1, 1, 1)
        if values.get("include_top"):
            level = level / np.array(values["image_std"]).reshape(-1, 1, 1)
        if exact:
            assert np.array_equal(found, theirs)
        else:
            difference = np.abs(found - theirs) / level
            assert difference.max() <= 2.01 and (difference > 0.01).mean() < 0.25 and (difference > 1.01).mean() < 0.01


@pytest.mark.parametrize("name", ["vit", "resnet", "deit", "mobilevit", "efficientnet", "poolformer"])
def test_an_image_of_the_size_that_it_is_resized_to_has_the_same_pixels_to_the_last_bit(name):
    processor = FAMILIES[name].make_processor()
    rng = np.random.default_rng(1)
    size = processor.size
    edge = size["height"] if "height" in size else size["shortest_edge"]
    if name in ("resnet", "poolformer"):
        edge = int(edge / processor.crop_pct)
    picture = Image.fromarray(rng.integers(0, 256, (edge, edge, 3), dtype=np.uint8))
    theirs = processor(images=[picture], return_tensors="pt")["pixel_values"][0].numpy()
    assert np.array_equal(PillowProcessor(json.loads(processor.to_json_string()), "x")(picture), theirs)


VIT = json.loads(transformers.ViTImageProcessor().to_json_string())
TIMM_VALUES = {"image_processor_type": "TimmWrapperImageProcessor", "data_config": {**TIMM, "crop_mode": "border"}}


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({**VIT, "image_processor_type": "DonutImageProcessor"}, "of the class DonutImageProcessor"),
        ({}, "of the class None"),
        ({**VIT, "do_thumbnail": True}, "has the key do_thumbnail"),
        ({**VIT, "crop_pct": 0.9}, "has the key crop_pct"),
        ({**VIT, "do_pad": True}, "has do_pad True"),
        ({name: value for name, value in VIT.items() if name != "resample"}, "lacks the key resample"),
        ({**VIT, "image_mean": None}, "lacks the key image_mean"),
        ({**VIT, "do_center_crop": True}, "lacks the key crop_size"),
        ({**VIT, "resample": 0}, "filter 0"),
        ({**VIT, "resample": 1}, "filter 1"),
        ({**VIT, "size": {"longest_edge": 8}}, "resizes to"),
        ({**VIT, "size": 224}, "resizes to 224"),
        (TIMM_VALUES, "lacks the key input_size"),
        ({**TIMM_VALUES, "data_config": {**TIMM_VALUES["data_config"], "input_size": [3, 8, 8]}}, "crop mode border"),
    ],
)
def test_what_is_not_known_is_refused_and_never_guessed(values, fault):
    with pytest.raises(InputError, match=r"^the image processor of MODEL .*pip install 'hf_cifar\[train\]'$") as caught:
        PillowProcessor(values, "MODEL")
    assert fault in str(caught.value)


def test_what_older_versions_wrote_is_read():
    older = {**VIT, "image_processor_type": "ViTImageProcessorFast", "crop_size": None, "data_format": "channels_first"}
    picture = pictures()[-1]
    assert np.array_equal(PillowProcessor(older, "x")(picture), PillowProcessor(VIT, "x")(picture))

"""A batch of images of one size goes through the processor at once, with the pixels that each has alone."""

import numpy as np
import pytest
import torch
from support.models import processor
from transformers import CLIPImageProcessor, ConvNextImageProcessor, ViTImageProcessor

from hf_cifar.data.batch_processor import FEWEST, BatchProcessor


class Sharpened(ViTImageProcessor):
    """Does something between resizing and normalising that is in none of the methods that are called for a batch."""

    def _preprocess(self, images, **options):
        return super()._preprocess([255 - image for image in images], **options)


def batch(height: int = 37, width: int = 29, count: int = FEWEST) -> torch.Tensor:
    rng = np.random.default_rng(height)
    return torch.from_numpy(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)).permute(0, 3, 1, 2)


def alone(kind, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([kind(images=image, return_tensors="pt")["pixel_values"] for image in images])


@pytest.mark.parametrize(
    "make",
    [
        lambda: processor(64),
        lambda: processor(16),
        lambda: ViTImageProcessor(size={"height": 24, "width": 48}, resample=3),
        lambda: CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 33, "width": 33}),
        lambda: ConvNextImageProcessor(size={"shortest_edge": 64}),
        lambda: ViTImageProcessor(do_resize=False),
        lambda: ViTImageProcessor(do_normalize=False),
        Sharpened,
    ],
)
def test_the_same_pixels_as_each_image_alone(make):
    ours, images = BatchProcessor(make()), batch()
    assert torch.equal(ours(images), alone(make(), images))
    assert torch.equal(ours(images.contiguous()), alone(make(), images))


def test_the_list_is_taken_apart_only_where_the_batch_gives_other_pixels(monkeypatch):
    """Which way was taken: a batch calls the processor itself for the images that verify it, and then no more."""
    for kind, expected in ((processor(64), 0), (Sharpened(), FEWEST)):
        ours = BatchProcessor(kind)
        ours(batch())
        seen = []
        whole = type(kind).preprocess

        def counted(self, images, *args, seen=seen, whole=whole, **kwargs):
            seen.append(len(images))
            return whole(self, images, *args, **kwargs)

        monkeypatch.setattr(type(kind), "preprocess", counted)
        ours(batch())
        monkeypatch.undo()
        assert sum(seen) == expected


def test_timms_processor_is_called_as_it_is():
    from transformers import TimmWrapperImageProcessor

    settings = {"input_size": (3, 32, 32), "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    kind = TimmWrapperImageProcessor(pretrained_cfg={**settings, "crop_pct": 0.9, "crop_mode": "center"})
    images = batch(40, 40)
    assert torch.equal(BatchProcessor(kind)(images), kind(images=list(images), return_tensors="pt")["pixel_values"])

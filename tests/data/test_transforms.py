"""The evaluation path is the saved processor, and augmentation is for training only."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.models import processor
from transformers import AutoImageProcessor, CLIPImageProcessor, ConvNextImageProcessor

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.augmentation.augmentation import Augmentation
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform, dataset_statistics
from hf_cifar.models.build import fit_processor


def photographs() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    shapes = [(32, 32), (32, 32), (37, 91), (120, 64), (8, 8), (500, 375)]
    return [Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]


@pytest.mark.parametrize("make", [lambda: processor(64), lambda: ConvNextImageProcessor(size={"shortest_edge": 64})])
def test_same_tensor_as_the_saved_processor_gives_each_image_alone(make, tmp_path):
    make().save_pretrained(tmp_path)
    saved = AutoImageProcessor.from_pretrained(tmp_path)
    images = photographs()
    ours = Transform(make())(images, range(len(images)))
    for image, tensor in zip(images, ours, strict=True):
        alone = saved(images=image, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(tensor, alone, rtol=0, atol=0)


def test_evaluation_is_the_same_in_every_epoch_and_order():
    images = photographs()
    transform = Transform(processor(32))
    first = transform(images, range(6))
    transform.epoch = 5
    assert torch.equal(transform(images[::-1], range(6)), first.flip(0))


def test_augmentation_draws_by_seed_epoch_and_image_alone():
    images = photographs()[:2] * 8
    transform = Transform(processor(32), Augmentation("standard", seed=1))
    torch.manual_seed(0)
    first = transform(images, range(16))
    torch.rand(100)
    assert torch.equal(transform(images, range(16)), first), "other draws must not matter"
    assert torch.equal(transform(images[8:], range(8, 16)), first[8:]), "the batch must not matter"
    transform.epoch = 1
    assert not torch.equal(transform(images, range(16)), first)
    assert not torch.equal(Transform(processor(32), Augmentation("standard", seed=2))(images, range(16)), first)
    plain = Transform(processor(32))(images, range(16))
    assert not torch.equal(first, plain)


def test_augmentation_does_not_disturb_the_generator():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Transform(processor(32), Augmentation("standard"))(photographs(), range(6))
    assert torch.equal(torch.rand(3), expected)


def test_standard_shifts_by_four_of_32_pixels_and_flips():
    grid = np.zeros((32, 32, 3), np.uint8)
    grid[16, 8] = 255
    plain = fit_processor(processor(32), None, ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]))
    places = set()
    for epoch in range(400):
        transform = Transform(plain, Augmentation("standard"))
        transform.epoch = epoch
        (row, column), *rest = (transform([Image.fromarray(grid)], [0])[0, 0] > 0.5).nonzero().tolist()
        assert not rest
        places.add((row, column))
    rows, columns = {row for row, _ in places}, {column for _, column in places}
    assert rows == set(range(12, 21))
    assert columns == set(range(4, 13)) | {31 - column for column in range(4, 13)}


def labelled(pixels: np.ndarray) -> LabeledImages:
    class Fixed(LabeledImages):
        def decode(self, positions):
            return [Image.fromarray(pixels[position]) for position in positions]

    count = len(pixels)
    return Fixed("train", None, np.zeros(count, dtype=int), np.arange(count), "mark")


def test_statistics_are_those_of_all_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
    mean, std = dataset_statistics(labelled(pixels), "colours", seed=0)
    flat = pixels.reshape(-1, 3) / 255
    assert np.allclose(mean, flat.mean(0), atol=1e-4) and np.allclose(std, flat.std(0), atol=1e-4)


def test_only_cifar10_of_the_hub_has_the_published_statistics(tmp_path):
    """Other images under CIFAR-10's names of classes, of a folder of that name, are measured."""
    black = labelled(np.zeros((2, 2, 2, 3), np.uint8))
    assert dataset_statistics(black, "uoft-cs/cifar10", 0) == ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    folder = tmp_path / "cifar10"
    for name in names:
        for index in range(2):
            (folder / "train" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (255, 51, 0)).save(folder / "train" / name / f"{index}.png")
    source = load_source(DataConfig(dataset=str(folder)))
    assert source.label_names == names
    mean, _ = dataset_statistics(source.splits["train"], source.name, 0)
    assert mean == [1.0, 0.2, 0.0]


def test_fitting_changes_only_what_was_asked_for():
    before = processor(64).to_dict()
    after = fit_processor(processor(64), 96, None).to_dict()
    assert dict(after["size"]) == {"height": 96, "width": 96}
    assert {**after, "size": None} == {**before, "size": None}
    clip = fit_processor(CLIPImageProcessor(size={"shortest_edge": 256}, crop_size=224), 112, None)
    assert dict(clip.size) == {"shortest_edge": 128} and dict(clip.crop_size) == {"height": 112, "width": 112}
    crop = fit_processor(ConvNextImageProcessor(size={"shortest_edge": 224}), 64, None)
    assert dict(crop.size) == {"shortest_edge": 64} and crop.crop_pct == ConvNextImageProcessor().crop_pct

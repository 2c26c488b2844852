"""Batches hold the images that were asked for, however many workers make them."""

import subprocess
import sys

import pytest
import torch
from support.images import write_images
from support.models import processor
from torch.utils.data import DataLoader

from hf_cifar.config.parts import DataConfig
from hf_cifar.data.images import CorruptImageError
from hf_cifar.data.loader import ImageDataset, as_is, in_order
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform


def test_batches_are_the_images_one_by_one_in_order(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    dataset = ImageDataset(images, Transform(processor(24)))
    one_by_one = torch.stack([dataset[number]["pixel_values"] for number in range(len(dataset))])
    assert one_by_one.shape == (60, 3, 24, 24)
    for workers in (0, 2):
        batched = torch.cat(list(in_order(images, Transform(processor(24)), 7, workers)))
        assert torch.equal(batched, one_by_one)


def test_augmented_batches_do_not_depend_on_the_workers(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]

    def epoch(workers: int) -> torch.Tensor:
        dataset = ImageDataset(images, Transform(processor(24), "standard", seed=4))
        dataset.set_epoch(3)
        return torch.cat([b["pixel_values"] for b in DataLoader(dataset, 8, collate_fn=as_is, num_workers=workers)])

    assert torch.equal(epoch(0), epoch(2))


def test_a_corrupt_image_is_one_line_from_a_worker_too(tmp_path):
    folder = write_images(tmp_path / "train", 4).parent
    (folder / "train" / "green" / "2.png").write_bytes(b"no image")
    images = load_source(DataConfig(dataset=str(folder))).splits["train"]
    with pytest.raises(CorruptImageError) as caught:
        list(in_order(images, Transform(processor(24)), 4, workers=2))
    assert "\n" not in str(caught.value) and "green/2.png" in str(caught.value)


def test_labels_go_with_their_images(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    dataset = ImageDataset(images, Transform(processor(24)))
    batch = dataset.__getitems__([50, 3, 30])
    assert batch["labels"].tolist() == [images.labels[50], images.labels[3], images.labels[30]]


def test_a_process_ends_although_its_workers_leave_signals_to_it(image_folder):
    """Something may still hold the loader, such as the traceback of an error."""
    code = f"""
from transformers import ViTImageProcessor
from hf_cifar.config.parts import DataConfig
from hf_cifar.data.loader import in_order
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform
images = load_source(DataConfig(dataset={str(image_folder)!r})).splits["train"]
batches = in_order(images, Transform(ViTImageProcessor()), 2, workers=2)
next(batches)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True).returncode == 0

"""Every class equally often, whoever draws it."""

import numpy as np
import pytest
import torch
from support.models import processor

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.augmentation.augmentation import Augmentation
from hf_cifar.data.balanced_order import balanced_order
from hf_cifar.data.loader import ImageDataset, TrainBatches, take
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform

LABELS = torch.from_numpy(np.random.default_rng(0).permutation(np.repeat([0, 1, 3], [30, 6, 2])))


def test_classes_differ_by_one_and_no_image_repeats_before_its_class_is_through():
    order = balanced_order(LABELS, torch.Generator().manual_seed(5))
    images = order % len(LABELS)
    assert len(order) == len(LABELS) and len(order.unique()) == len(order)
    counts = LABELS[images].bincount()[[0, 1, 3]]
    assert sorted(counts.tolist()) == [12, 13, 13]
    assert images[LABELS[images] == 0].unique().numel() == counts[0]
    for label in (1, 3):
        times = torch.tensor([int((images == member).sum()) for member in (label == LABELS).nonzero().flatten()])
        assert times.max() - times.min() <= 1


def test_an_epoch_has_its_own_order_wherever_training_begins():
    batches, again = (TrainBatches(len(LABELS), 8, seed=3, balanced=LABELS) for _ in range(2))
    epochs = []
    for epoch in range(3):
        batches.set_epoch(epoch)
        epochs.append([index for batch in batches for index in batch])
    again.set_epoch(2)
    assert [index for batch in again for index in batch] == epochs[2]
    assert epochs[0] != epochs[1]
    frequent = [{index for index in epoch if LABELS[index % len(LABELS)] == 0} for epoch in epochs]
    assert frequent[0] != frequent[1], "another part of a large class"


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_steps_of_one(processes):
    whole = list(TrainBatches(len(LABELS), 6, seed=1, balanced=LABELS))
    parts = [list(TrainBatches(len(LABELS), 6, 1, rank, processes, balanced=LABELS)) for rank in range(processes)]
    for batch, shares in zip(whole, zip(*parts, strict=True), strict=True):
        assert [index for share in shares for index in share if index >= 0] == batch


def test_a_repeated_image_has_its_label_and_an_augmentation_of_its_own(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    dataset = ImageDataset(images, Transform(processor(16), Augmentation("standard", seed=4)))
    count = len(images)
    batch = dataset.__getitems__([7, 7 + count, 7 + 2 * count, 7])
    assert batch["labels"].unique().numel() == 1
    first, second, third, again = batch["pixel_values"]
    assert torch.equal(first, again) and not torch.equal(first, second) and not torch.equal(second, third)
    assert torch.equal(first, dataset[7]["pixel_values"]), "the first time as in an ordinary epoch"
    chosen, labels = take([7 + count, ~(7 + count)], dataset.labels)
    assert chosen.tolist() == [7, 7] and labels.tolist() == [dataset.labels[7], -100]

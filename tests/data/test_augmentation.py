"""Augmentation: what each policy does, mixing by hand, and draws that depend on seed, epoch and image alone."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import write_images
from support.models import processor
from support.random_state import spy_on_accelerators

from hf_cifar.config.parts import DataConfig
from hf_cifar.data.augmentation import Mixing, drawn_by
from hf_cifar.data.loader import PADDING_LABEL, ImageDataset
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform


def pictures(count: int = 8) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(count)]


def test_crop_shifts_and_never_flips():
    """A mark left of the middle comes back at every shift of up to four pixels, on its own side."""
    grid = np.zeros((32, 32, 3), np.uint8)
    grid[16, 8] = 255
    places = set()
    for epoch in range(300):
        transform = Transform(processor(32), "crop")
        transform.epoch = epoch
        pixels = transform([Image.fromarray(grid)], [0])[0, 0]
        (place,) = (pixels == pixels.max()).nonzero().tolist()
        places.add(tuple(place))
    assert {row for row, _ in places} == set(range(12, 21))
    assert {column for _, column in places} == set(range(4, 13))


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_policies_change_more_than_standard_does(policy):
    """Standard only moves pixels and fills up with black; these also change values, of most images."""
    changed = 0
    for number, picture in enumerate(pictures(16)):
        own = set(map(tuple, np.asarray(picture).reshape(-1, 3))) | {(0, 0, 0)}
        plain = processor(32)
        plain.image_mean, plain.image_std = [0.0] * 3, [1.0] * 3
        for name, allowed in (("standard", True), (policy, False)):
            pixels = Transform(plain, name)([picture], [number])[0]
            values = set(map(tuple, (pixels * 255).round().int().permute(1, 2, 0).reshape(-1, 3).tolist()))
            if allowed:
                assert values <= own
            elif not values <= own:
                changed += 1
    assert changed >= 8


def test_random_erasing_blanks_a_rectangle_with_the_mean_colour():
    images = pictures(64)
    plain = Transform(processor(32))(images, range(64))
    erased = Transform(processor(32), random_erasing=0.5)(images, range(64))
    touched = [place for place in range(64) if not torch.equal(plain[place], erased[place])]
    assert 20 <= len(touched) <= 44
    for place in touched:
        differs = (plain[place] != erased[place]).any(0)
        rows, columns = differs.any(1).nonzero(), differs.any(0).nonzero()
        box = erased[place][:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == 0).all(), "0 is the mean, once normalised"


def batch(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, 8, 8, generator=generator), torch.arange(count) % 3


def test_mixup_blends_images_and_targets_alike():
    pixels, labels = batch()
    mixed, targets = Mixing(0.4, 0.0, 3, seed=0)(pixels, labels, range(6), epoch=0)
    other, others = pixels.roll(1, 0), labels.roll(1)
    kept = ((mixed - other) / (pixels - other)).median()
    torch.testing.assert_close(mixed, kept * pixels + (1 - kept) * other, rtol=1e-4, atol=1e-4)
    one_hot = torch.nn.functional.one_hot
    torch.testing.assert_close(
        targets, kept * one_hot(labels, 3) + (1 - kept) * one_hot(others, 3), rtol=1e-3, atol=1e-3
    )


def test_cutmix_pastes_a_box_and_counts_its_area():
    pixels, labels = batch()
    for epoch in range(20):
        mixed, targets = Mixing(0.0, 1.0, 3, seed=0)(pixels, labels, range(6), epoch)
        own = (mixed == pixels).all(1)
        pasted = (mixed == pixels.roll(1, 0)).all(1)
        assert (own | pasted).all()
        share = own[0].double().mean()
        assert torch.allclose(own.double().mean((1, 2)), share.expand(6)), "the same box in every image"
        one_hot = torch.nn.functional.one_hot
        expected = share * one_hot(labels, 3) + (1 - share) * one_hot(labels.roll(1), 3)
        torch.testing.assert_close(targets.double(), expected, rtol=1e-5, atol=1e-5)


def test_with_both_each_batch_gets_one_of_them():
    pixels, labels = batch()
    kinds = set()
    for epoch in range(30):
        mixed, _ = Mixing(1.0, 1.0, 3, seed=0)(pixels, labels, range(6), epoch)
        kinds.add(bool(((mixed == pixels) | (mixed == pixels.roll(1, 0))).all()))
    assert kinds == {True, False}


def test_mixing_draws_by_seed_epoch_and_images_alone():
    pixels, labels = batch()
    mixing = Mixing(1.0, 1.0, 3, seed=0)
    first, _ = mixing(pixels, labels, range(6), 0)
    torch.rand(7)
    assert torch.equal(mixing(pixels, labels, range(6), 0)[0], first)
    assert not torch.equal(mixing(pixels, labels, range(6), 1)[0], first)
    assert not torch.equal(mixing(pixels, labels, range(1, 7), 0)[0], first)
    assert not torch.equal(Mixing(1.0, 1.0, 3, seed=1)(pixels, labels, range(6), 0)[0], first)


def test_padding_has_no_target(tmp_path):
    images = load_source(DataConfig(dataset=str(write_images(tmp_path / "train", 2).parent))).splits["train"]
    dataset = ImageDataset(images, Transform(processor(8)), Mixing(1.0, 0.0, 3, seed=0))
    found = dataset.__getitems__([~4])
    assert found["labels"].tolist() == [PADDING_LABEL] and not found["targets"].any()
    assert torch.equal(
        found["pixel_values"], ImageDataset(images, Transform(processor(8))).__getitems__([4])["pixel_values"]
    )


def test_draws_within_leave_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with drawn_by(1, 2):
        inside = torch.rand(1)
    assert torch.equal(torch.rand(2), expected)
    with drawn_by(1, 2):
        assert torch.equal(torch.rand(1), inside)
    with drawn_by(2, 1):
        assert not torch.equal(torch.rand(1), inside)


def test_draws_touch_no_generator_of_an_accelerator(monkeypatch):
    """Without CUDA too: `torch.manual_seed` puts its call off until CUDA is there."""
    touched = spy_on_accelerators(monkeypatch)
    with drawn_by(1, 2):
        torch.rand(1)
    Transform(processor(32), "rand", random_erasing=0.5)(pictures(2), range(2))
    Mixing(1.0, 1.0, 3, seed=0)(*batch(), range(6), epoch=0)
    assert not touched


def test_draws_are_those_that_follow_manual_seed():
    with drawn_by(3, 1, 4):
        ours = torch.rand(3), torch.randint(100, (3,))
    torch.manual_seed(int(np.random.SeedSequence((3, 1, 4)).generate_state(1)[0]))
    assert torch.equal(ours[0], torch.rand(3)) and torch.equal(ours[1], torch.randint(100, (3,)))


@pytest.mark.parametrize("mixed", [False, True])
def test_the_picture_of_a_training_batch_is_a_whole_png_and_the_same_each_time(mixed, tmp_path):
    from hf_cifar.evaluation.figures.augmentation import augmentation_figure

    images = load_source(DataConfig(dataset=str(write_images(tmp_path / "train", 4).parent))).splits["train"]
    mixing = Mixing(1.0, 1.0, 3, seed=0) if mixed else None
    content = []
    for number in range(2):
        dataset = ImageDataset(images, Transform(processor(16), "standard"), mixing)
        augmentation_figure(tmp_path / f"{number}.png", dataset, ["blue", "green", "red"])
        assert dataset.transform.epoch == 0
        with Image.open(tmp_path / f"{number}.png") as picture:
            picture.load()
            assert min(picture.size) > 300
        content.append((tmp_path / f"{number}.png").read_bytes())
    assert content[0] == content[1]

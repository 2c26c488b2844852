"""Augmentation: what each kind does to images, and draws that depend on seed, epoch and image alone."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import write_images
from support.models import processor
from support.random_state import spy_on_accelerators
from torchvision.transforms import v2

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.augmentation.augmentation import Augmentation
from hf_cifar.data.augmentation.draws import Draws
from hf_cifar.data.augmentation.erasing import Erasing
from hf_cifar.data.augmentation.mixing import Mixing
from hf_cifar.data.augmentation.policies import POLICIES
from hf_cifar.data.augmentation.shift import Shift
from hf_cifar.data.loader import PADDING_LABEL, ImageDataset, TrainBatches
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform


def pictures(count: int = 8, height: int = 32, width: int = 32) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def as_batch(arrays: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def draws(count: int, seed: int = 0, epoch: int = 0) -> Draws:
    return Draws(seed, epoch, np.arange(count))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 45)])
def test_shift_is_torchvisions_crop_and_flip_for_the_same_numbers(height, width):
    images = as_batch(pictures(40, height, width))
    drawn = Shift(flips=True).draw(draws(40), height, width)
    vertical, horizontal = round(height / 8), round(width / 8)
    for place, ours in enumerate(Shift.apply(images, drawn)):
        padded = v2.functional.pad(images[place], [horizontal, vertical])
        theirs = v2.functional.crop(padded, int(drawn["top"][place]), int(drawn["left"][place]), height, width)
        assert torch.equal(ours, theirs.flip(-1) if drawn["flip"][place] else theirs)


def test_shifts_are_uniform_over_all_places_as_torchvisions_are():
    drawn = Shift(flips=True).draw(draws(20_000), 32, 32)
    places = torch.bincount(drawn["top"] * 9 + drawn["left"], minlength=81)
    assert len(places) == 81, "RandomCrop((32, 32), padding=4) has 9 by 9 places"
    expected = 20_000 / 81
    assert ((places - expected) ** 2 / expected).sum() < 80 + 5 * 160**0.5, "chi-square"
    assert abs(drawn["flip"].double().mean() - 0.5) < 5 * 0.5 / 20_000**0.5
    assert not Shift(flips=False).draw(draws(1000), 32, 32)["flip"].any()


@pytest.mark.parametrize(("name", "kind"), [("trivial", v2.TrivialAugmentWide), ("rand", v2.RandAugment)])
def test_policies_draw_as_often_as_torchvision(name, kind, monkeypatch):
    """How often each operation has each magnitude, against 6,000 draws of torchvision's own class."""
    ours: dict[tuple[str, float], int] = {}
    for step in POLICIES[name].draw(draws(6000), 32, 32):
        for operation, _, magnitudes in step:
            for value in magnitudes.tolist():
                key = (operation, round(value, 4) if operation not in ("TranslateX", "TranslateY") else int(value))
                ours[key] = ours.get(key, 0) + 1
    theirs: dict[tuple[str, float], int] = {}

    def count(self, image, operation, magnitude, interpolation, fill):
        key = (operation, round(magnitude, 4) if operation not in ("TranslateX", "TranslateY") else int(magnitude))
        theirs[key] = theirs.get(key, 0) + 1
        return image

    monkeypatch.setattr(kind, "_apply_image_or_video_transform", count)
    torch.manual_seed(0)
    policy, image = kind(), torch.zeros(3, 32, 32, dtype=torch.uint8)
    for _ in range(6000):
        policy(image)
    del theirs["Identity", 0.0]
    keys = sorted(set(ours) | set(theirs))
    a, b = (np.array([found.get(key, 0) for key in keys]) for found in (ours, theirs))
    common = a + b > 10
    statistic = ((a - b)[common] ** 2 / (a + b)[common]).sum()
    assert statistic < common.sum() + 5 * (2 * common.sum()) ** 0.5, "two-sample chi-square"


def test_a_policy_changes_each_image_by_its_own_operation_alone():
    images = as_batch(pictures(64))
    drawn = POLICIES["trivial"].draw(draws(64), 32, 32)
    together = POLICIES["trivial"].apply(images, drawn)
    untouched = set(range(64)) - {int(place) for _, places, _ in drawn[0] for place in places}
    assert untouched and all(torch.equal(together[place], images[place]) for place in untouched)
    for row in range(64):
        alone = POLICIES["trivial"].draw(Draws(0, 0, np.array([row])), 32, 32)
        assert torch.equal(POLICIES["trivial"].apply(images[row : row + 1], alone)[0], together[row])


def test_erasing_blanks_the_rectangle_that_torchvision_would():
    erasing, pixels = Erasing(0.5), torch.rand(64, 3, 32, 40) + 1
    drawn = erasing.draw(draws(64))
    erased = erasing.apply(pixels.clone(), drawn)
    touched = 0
    for place, (top, bottom, left, right) in enumerate(erasing.boxes(drawn, 32, 40).tolist()):
        value = torch.zeros(1, 1, 1)
        expected = v2.functional.erase(pixels[place], top, left, bottom - top, right - left, value)
        assert torch.equal(erased[place], expected)
        touched += bottom > top
    assert 20 <= touched <= 44


def test_erased_rectangles_are_distributed_as_torchvisions():
    boxes = Erasing(1.0).boxes(Erasing(1.0).draw(draws(3000)), 32, 32)
    ours = torch.stack([boxes[:, 0], boxes[:, 2], boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]], 1).double()
    kind = v2.RandomErasing(1.0)
    torch.manual_seed(0)
    found = [kind.make_params([torch.zeros(3, 32, 32)]) for _ in range(3000)]
    theirs = torch.tensor([[one[name] for name in ("i", "j", "h", "w")] for one in found], dtype=torch.float64)
    error = ((ours.var(0) + theirs.var(0)) / 3000).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 5 * error).all()
    assert ((ours.std(0) / theirs.std(0) - 1).abs() < 0.1).all()


def mixed_batch(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count + 1, 3, 8, 8, generator=generator), torch.arange(count + 1) % 3


def test_mixup_blends_each_image_and_its_target_with_the_one_before():
    pixels, labels = mixed_batch()
    mixing = Mixing(0.4, 0.0, 3)
    drawn = mixing.draw(draws(6))
    mixed, targets = mixing.apply(pixels, labels, drawn)
    for place, weight in enumerate(drawn["weight"].tolist()):
        expected = weight * pixels[place + 1] + (1 - weight) * pixels[place]
        torch.testing.assert_close(mixed[place], expected)
        target = torch.zeros(3)
        target[labels[place + 1]] += weight
        target[labels[place]] += 1 - weight
        torch.testing.assert_close(targets[place], target)


def test_cutmix_pastes_a_box_and_counts_its_area():
    pixels, labels = mixed_batch(40)
    mixing = Mixing(0.0, 1.0, 3)
    mixed, targets = mixing.apply(pixels, labels, mixing.draw(draws(40)))
    for place in range(40):
        own = (mixed[place] == pixels[place + 1]).all(0)
        pasted = (mixed[place] == pixels[place]).all(0)
        assert (own | pasted).all()
        rows, columns = pasted.any(1), pasted.any(0)
        assert torch.equal(pasted, rows[:, None] & columns), "a rectangle"
        share = own.double().mean()
        target = torch.zeros(3, dtype=torch.float64)
        target[labels[place + 1]] += share
        target[labels[place]] += 1 - share
        torch.testing.assert_close(targets[place].double(), target, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_weights_and_boxes_are_distributed_as_torchvisions(alpha):
    torch.manual_seed(0)
    for kind, mixing, name in (
        (v2.MixUp, Mixing(alpha, 0.0, 3), "lam"),
        (v2.CutMix, Mixing(0.0, alpha, 3), "lam_adjusted"),
    ):
        theirs = kind(alpha=alpha, num_classes=3)
        found = torch.tensor([theirs.make_params([torch.zeros(2, 3, 32, 32)])[name] for _ in range(3000)])
        drawn = mixing.draw(draws(3000))
        _, targets = mixing.apply(torch.zeros(3001, 3, 32, 32), torch.arange(3001) % 2, drawn)
        ours = targets[torch.arange(3000), torch.arange(1, 3001) % 2]
        quantiles = torch.linspace(0.05, 0.95, 10)
        # The distribution function of both at the same ten places.
        places = found.quantile(quantiles)
        below = [(values[:, None] <= places + 1e-6).double().mean(0) for values in (ours, found)]
        assert (below[0] - below[1]).abs().max() < 5 * (0.5 / 3000) ** 0.5


def test_with_both_each_image_gets_one_of_them():
    drawn = Mixing(1.0, 1.0, 3).draw(draws(400))
    assert 150 < int(drawn["cut"].sum()) < 250
    assert not Mixing(1.0, 0.0, 3).draw(draws(40))["cut"].any() and Mixing(0.0, 1.0, 3).draw(draws(40))["cut"].all()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    return load_source(DataConfig(dataset=str(write_images(folder / "train", 10).parent))).splits["train"]


EVERYTHING = Augmentation("trivial", 5, Erasing(0.5), Mixing(1.0, 1.0, 3))


def epoch_of(images, batch_size: int, ranks: int = 1) -> dict[str, torch.Tensor]:
    """What the network sees in epoch 1, in the epoch's order."""
    dataset = ImageDataset(images, Transform(processor(8), EVERYTHING))
    dataset.set_epoch(1)
    found = []
    samplers = [TrainBatches(len(images), batch_size, 7, rank, ranks, with_previous=True) for rank in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(1)
    for parts in zip(*samplers, strict=True):
        found += [dataset.__getitems__(part) for part in parts]
    kept = [batch["labels"] != PADDING_LABEL for batch in found]
    return {
        name: torch.cat([batch[name][keep] for batch, keep in zip(found, kept, strict=True)])
        for name in ("pixel_values", "labels", "targets")
    }


def test_an_epoch_is_the_same_in_any_batches_and_processes(images):
    whole = epoch_of(images, len(images))
    for divided in (epoch_of(images, 7), epoch_of(images, 4, ranks=3), epoch_of(images, 8, ranks=2)):
        for name, values in whole.items():
            assert torch.equal(values, divided[name]), name


def test_finished_elsewhere_is_the_same_as_finished_by_the_loader(images):
    """As an accelerator gets it: bytes and draws from the loader, everything else after they have arrived."""
    transform = Transform(processor(8), EVERYTHING)
    indices = [3, 9, 1, 4]
    there = ImageDataset(images, transform).__getitems__(indices)
    raw = ImageDataset(images, transform, finished=False).__getitems__(indices)
    assert raw["images"][0].dtype == torch.uint8 and "pixel_values" not in raw
    finished = transform.finish(raw)
    assert set(finished) == set(there) and all(torch.equal(finished[name], there[name]) for name in there)


def test_padding_has_no_target(images):
    dataset = ImageDataset(images, Transform(processor(8), Augmentation(mixing=Mixing(1.0, 0.0, 3))))
    found = dataset.__getitems__([2, ~4])
    assert found["labels"].tolist() == [PADDING_LABEL] and not found["targets"].any()


def test_draws_touch_no_generator(monkeypatch):
    """Neither torch's on the CPU nor one of an accelerator, without CUDA too: its calls wait until it is there."""
    touched = spy_on_accelerators(monkeypatch)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    Transform(processor(32), EVERYTHING).prepare(pictures(3), range(3))
    Transform(processor(32), Augmentation("rand"))(pictures(2), range(2))
    assert not touched
    assert torch.equal(torch.get_rng_state(), before[0]) and np.array_equal(np.random.get_state()[1], before[1])


def test_crop_shifts_and_never_flips():
    """A mark left of the middle comes back at every shift of up to four pixels, on its own side."""
    grid = np.zeros((32, 32, 3), np.uint8)
    grid[16, 8] = 255
    places = set()
    for epoch in range(300):
        transform = Transform(processor(32), Augmentation("crop"))
        transform.epoch = epoch
        pixels = transform([grid], [0])[0, 0]
        (place,) = (pixels == pixels.max()).nonzero().tolist()
        places.add(tuple(place))
    assert {row for row, _ in places} == set(range(12, 21))
    assert {column for _, column in places} == set(range(4, 13))


@pytest.mark.parametrize("mixed", [False, True])
def test_the_picture_of_a_training_batch_is_a_whole_png_and_the_same_each_time(mixed, images, tmp_path):
    from hf_cifar.evaluation.figures.augmentation import augmentation_figure

    mixing = Mixing(1.0, 1.0, 3) if mixed else None
    content = []
    for number in range(2):
        dataset = ImageDataset(images, Transform(processor(16), Augmentation("standard", mixing=mixing)))
        augmentation_figure(tmp_path / f"{number}.png", dataset, ["blue", "green", "red"])
        assert dataset.transform.epoch == 0
        with Image.open(tmp_path / f"{number}.png") as picture:
            picture.load()
            assert min(picture.size) > 300
        content.append((tmp_path / f"{number}.png").read_bytes())
    assert content[0] == content[1]

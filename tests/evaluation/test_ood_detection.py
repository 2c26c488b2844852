"""AUROC and FPR95 by counting pairs, and corrupted images as the network sees them."""

import numpy as np
import pytest
from support.images import write_images
from support.models import processor

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.foreign_images import foreign_images
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.evaluation.corruptions import corrupt
from hf_cifar.evaluation.ood_detection import CORRUPTED, OneCorruption, auroc, fpr95, measure_ood


def drawn(count, mean, seed):
    return np.random.default_rng(seed).normal(mean, 1, count).round(1)  # with ties


def test_auroc_and_fpr95_are_those_of_counting():
    inside, outside = drawn(137, 0, 0), drawn(61, 1, 1)
    pairs = np.sign(outside[:, None] - inside[None, :])
    assert auroc(inside, outside) == pytest.approx((pairs + 1).mean() / 2)
    kept = min(value for value in inside if (inside <= value).mean() >= 0.95)
    assert fpr95(inside, outside) == sum(value <= kept for value in outside) / 61
    assert auroc(inside, inside) == 0.5 and auroc(inside, inside + 99) == 1 and fpr95(inside, inside + 99) == 0


def test_each_corruption_at_severity_5_is_compared_with_the_images_themselves(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["test"]
    seen = []

    def brightness(given, transform, title):
        pixels = transform(given.decode(range(len(given))), given.index)
        seen.append((title, pixels))
        return pixels.mean(dim=(1, 2, 3)).numpy()

    scores = brightness(images, Transform(processor(16)), "clean")
    found = measure_ood("energy", brightness, images, scores, processor(16), 3, float(np.median(scores)))
    for (title, pixels), item in zip(seen[1:], found.compared, strict=True):
        rows = zip(images.index, images.decode(range(18)), strict=True)
        expected = [corrupt(image, item.name, 5, 3, row) for row, image in rows]
        wanted = processor(16)(images=expected, return_tensors="pt")["pixel_values"]
        np.testing.assert_allclose(pixels, wanted, atol=1e-6)
        theirs = wanted.mean(dim=(1, 2, 3)).numpy()
        pairs = np.sign(theirs[:, None] - scores[None, :])
        assert item.auroc == pytest.approx((pairs + 1).mean() / 2) and item.name in title
        assert item.is_corruption and item.num_examples == 18
    assert [item.name for item in found.compared] == list(CORRUPTED)
    assert (found.severity, found.seed, found.kept) == (5, 3, (scores <= np.median(scores)).mean())


def test_corruptions_draw_by_the_row_alone(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["test"]
    noisy = OneCorruption(processor(16), "gaussian_noise", 0)
    whole = noisy(images.decode([0, 1, 2]), [0, 1, 2])
    np.testing.assert_array_equal(noisy(images.decode([2]), [2])[0], whole[2])


class TestForeignImages:
    def test_any_folder_whose_labels_are_not_read(self, tmp_path):
        write_images(tmp_path / "deep" / "test", 2, seed=1)
        for number, file in enumerate(sorted(tmp_path.rglob("*.png"))[:2]):
            file.rename(tmp_path / f"{number}.png")
        found = foreign_images(str(tmp_path), None, 0, False)
        assert len(found.images) == 6 and found.name == tmp_path.name
        assert {image.mode for image in found.images.decode(range(6))} == {"RGB"}

    def test_a_dataset_by_name_and_at_most_so_many(self):
        found = foreign_images("digits", 25, 0, False)
        again = foreign_images("digits", 25, 0, False)
        assert len(found.images) == 25 and list(found.images.index) == list(again.images.index)
        assert found.images.index[-1] > 1_000, "from everywhere"

    def test_what_cannot_be_read_is_left_out_only_where_asked(self, tmp_path):
        write_images(tmp_path, 1, seed=1)
        file = next(tmp_path.rglob("*.png"))
        file.write_bytes(b"no image")
        assert len(foreign_images(str(tmp_path), None, 0, True).images) == 2
        for other in tmp_path.rglob("*.png"):
            other.write_bytes(b"no image")
        with pytest.raises(InputError, match=r"--ood-dataset .* holds no images that can be read"):
            foreign_images(str(tmp_path), None, 0, True)

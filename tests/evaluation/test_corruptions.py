"""Corruptions: what each does, that severity hurts, and that nothing but their arguments rules what is drawn."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage
from sklearn.datasets import load_sample_images

from hf_cifar.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corruptions_of

ROOT = Path(__file__).parents[2]


def photographs(side: int) -> list[Image.Image]:
    """Six squares of two photographs, made small."""
    found = []
    for picture in load_sample_images().images:
        for left in (0, 110, 213):
            found.append(Image.fromarray(picture[:, left : left + 427]).resize((side, side), Image.Resampling.BOX))
    return found


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(((np.asarray(one, float) - np.asarray(other, float)) ** 2).mean())


@pytest.mark.parametrize("side", [32, 96, 224])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_hurts_more_and_more(name, side):
    images = photographs(side)[:: 1 if side < 224 else 2]
    distances = [
        np.mean([distance(image, corrupt(image, name, severity, 0, row)) for row, image in enumerate(images)])
        for severity in SEVERITIES
    ]
    assert distances[0] > 0
    assert (np.diff(distances) > 0).all(), distances


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (8, 8), (5, 31), (400, 3)])
@pytest.mark.parametrize("colours", ["noise", "grey", "black", "white"])
def test_any_size_and_colour_keeps_its_size_and_type(size, colours):
    shape = (size[1], size[0], 3)
    pixels = {
        "noise": np.random.default_rng(0).integers(0, 256, shape),
        "grey": np.repeat(np.random.default_rng(0).integers(0, 256, (*shape[:2], 1)), 3, axis=2),
        "black": np.zeros(shape),
        "white": np.full(shape, 255),
    }[colours].astype(np.uint8)
    image = Image.fromarray(pixels)
    found = list(corruptions_of(image, 0, 0))
    assert len(found) == len(CORRUPTIONS) * 5
    assert {(item.mode, item.size) for item in found} == {("RGB", size)}
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_the_arguments_alone_rule_what_is_drawn(tmp_path):
    image = photographs(32)[0]
    image.save(tmp_path / "image.png")
    # In another process, in another order, after other draws.
    code = (
        "import sys, numpy as np; from PIL import Image; from hf_cifar.evaluation.corruptions import *\n"
        "np.random.seed(7); np.random.random(5); image = Image.open(sys.argv[1]).convert('RGB')\n"
        "names = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES][::-1]\n"
        "found = [np.asarray(corrupt(image, *name, 3, 11)) for name in names]; np.save(sys.argv[2], found[::-1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "image.png"), str(tmp_path / "found.npy")]
    subprocess.run(command, check=True, cwd=ROOT)
    here = np.stack([np.asarray(item) for item in corruptions_of(image, 3, 11)])
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), here)


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "fog"])
def test_seed_row_and_severity_each_draw_anew(name, monkeypatch):
    image = photographs(32)[1]
    change, _ = CORRUPTIONS[name]
    monkeypatch.setitem(CORRUPTIONS, name, (change, (CORRUPTIONS[name][1][3],) * 5))
    found = [corrupt(image, name, *rest) for rest in ((3, 0, 0), (3, 1, 0), (3, 0, 1), (4, 0, 0))]
    assert len({item.tobytes() for item in found}) == 4


def test_noises_have_the_moments_that_they_should():
    grey = Image.new("RGB", (200, 200), (102, 102, 102))  # 0.4 of the range
    for severity, (deviation, photons, share) in enumerate(
        zip(*(CORRUPTIONS[name][1] for name in ("gaussian_noise", "shot_noise", "impulse_noise")), strict=True), 1
    ):
        values = {
            name: np.asarray(corrupt(grey, f"{name}_noise", severity, 0, 0), float) / 255
            for name in ("gaussian", "shot", "impulse")
        }
        assert values["gaussian"].std() == pytest.approx(deviation, rel=0.05)
        assert values["shot"].std() == pytest.approx(np.sqrt(0.4 / photons), rel=0.05)
        assert values["shot"].mean() == pytest.approx(0.4, abs=0.01)
        for extreme in (0, 1):
            assert (values["impulse"] == extreme).mean() == pytest.approx(share / 2, rel=0.15)
        untouched = (values["impulse"] > 0) & (values["impulse"] < 1)
        assert (values["impulse"][untouched] == 0.4).all()


def test_a_point_out_of_focus_is_a_disk_and_in_motion_a_line():
    point = np.zeros((101, 101, 3), np.uint8)
    point[50, 50] = 255
    disk = np.asarray(corrupt(Image.fromarray(point), "defocus_blur", 5, 0, 0))[..., 0]
    radius = 0.6 + 0.042 * 101
    away = np.hypot(*np.mgrid[-50:51, -50:51])
    assert disk[away < radius - 1].min() == disk.max() == round(255 / (np.pi * radius**2))
    assert disk[away > radius + 1].max() == 0
    streak = np.asarray(corrupt(Image.fromarray(point), "motion_blur", 5, 0, 0))[..., 0]
    where = np.argwhere(streak > 0) - 50
    assert 2 * np.hypot(*where.T).max() == pytest.approx(1 + 0.15 * 101, abs=1.5)
    # All of it on one line through the point, and as long on one side as on the other.
    spread = np.sqrt(np.linalg.eigvalsh(where.T @ where / len(where)))
    assert spread[0] < 0.5 and spread[1] > 3
    assert ndimage.label(streak, np.ones((3, 3)))[1] == 1
    np.testing.assert_array_equal(streak, streak[::-1, ::-1])


def test_beyond_the_edges_the_image_is_mirrored():
    flat = Image.new("RGB", (40, 30), (200, 100, 50))
    for name in ("defocus_blur", "motion_blur"):
        np.testing.assert_array_equal(np.asarray(corrupt(flat, name, 5, 0, 0)), np.asarray(flat))


def test_light_contrast_and_colour_by_hand():
    image = Image.new("RGB", (2, 1))
    image.putpixel((0, 0), (100, 50, 0))
    brighter = corrupt(
        image, "brightness", 2, 0, 0
    )  # 0.2 of the range: 51 more for the largest, the others in proportion
    assert [brighter.getpixel((x, 0)) for x in range(2)] == [(151, 76, 0), (51, 51, 51)]
    # Luma 0.299 * 100 + 0.587 * 50 = 59; the mean of both pixels 30 (rounded); 0.6 of the distance to it.
    flatter = corrupt(image, "contrast", 2, 0, 0)
    np.testing.assert_allclose(flatter.getpixel((0, 0)), (72, 42, 12), atol=1)
    np.testing.assert_allclose(flatter.getpixel((1, 0)), (12, 12, 12), atol=1)
    # Twice as far from the luma.
    np.testing.assert_allclose(corrupt(image, "saturate", 2, 0, 0).getpixel((0, 0)), (141, 41, 0), atol=1)


def test_pixelated_photographs_have_as_many_pixels_whatever_their_size():
    for side, count in ((32, 10), (224, 67), (672, 67)):
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
        found = np.asarray(corrupt(noise, "pixelate", 5, 0, 0))
        assert 1 + (np.abs(np.diff(found[0].astype(int), axis=0)).sum(1) > 0).sum() == count


def test_fog_lightens_and_is_thicker_here_than_there():
    black = np.asarray(corrupt(Image.new("RGB", (64, 64)), "fog", 3, 0, 0), float)
    assert black[..., 0].min() > 255 * 0.9 * (1 - np.exp(-0.7 * 0.4))
    assert black.std() > 5 and black.max() < 255 * 0.9
    smooth = np.asarray(Image.fromarray(black.astype(np.uint8)).filter(ImageFilter.BoxBlur(2)), float)
    assert np.abs(black - smooth).mean() < black.std() / 4


@pytest.mark.parametrize(
    ("name", "severity", "mode"), [("snow", 1, "RGB"), ("fog", 0, "RGB"), ("fog", 6, "RGB"), ("fog", 1, "L")]
)
def test_what_is_not_there_is_refused(name, severity, mode):
    with pytest.raises(ValueError, match=r"unknown corruption|must be one of 1 to 5|not RGB"):
        corrupt(Image.new(mode, (4, 4)), name, severity, 0, 0)

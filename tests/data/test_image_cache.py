"""Decoded images: the same pixels, no image file read again, damage found, and no more than was asked for."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.sizes import bytes_of
from hf_cifar.data import image_cache
from hf_cifar.data.decoding import decode
from hf_cifar.data.image_cache import decoded_once
from hf_cifar.data.images import CorruptImageError
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError


def source(folder):
    return load_source(DataConfig(dataset=str(folder))).splits["train"]


@pytest.fixture
def images(tmp_path):
    """Eight images of three classes, of one size but for two."""
    write_images(tmp_path / "data" / "train", 3)
    rng = np.random.default_rng(1)
    for name, shape in (("wide", (20, 90)), ("tall", (61, 7))):
        picture = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "data" / "train" / "red" / f"{name}.png")
    return source(tmp_path / "data")


def pixels(images) -> list[np.ndarray]:
    return images.pixels(range(len(images)))


def test_the_pixels_are_those_of_the_files(images, tmp_path):
    cached = decoded_once(images, "auto", tmp_path / "cache")
    assert cached.decoded is not None
    for ours, picture in zip(pixels(cached), images.decode(range(len(images))), strict=True):
        assert np.array_equal(ours, np.asarray(picture)) and ours.dtype == np.uint8
    some = cached.select(np.array([7, 2, 2]))
    assert all(np.array_equal(a, pixels(cached)[b]) for a, b in zip(pixels(some), (7, 2, 2), strict=True))


def test_no_image_file_is_read_again_in_this_run_or_another(images, tmp_path, monkeypatch):
    expected = pixels(images)
    half = images.select(np.arange(0, len(images), 2))
    decoded_once(half, "auto", tmp_path / "cache")
    read = []
    monkeypatch.setattr("hf_cifar.data.images.decode", lambda image: read.append(image) or decode(image))
    cached = decoded_once(images, "auto", tmp_path / "cache")
    assert len(read) == len(images) // 2, "the other half is there"
    del read[:]
    again = decoded_once(images, "auto", tmp_path / "cache")
    assert all(np.array_equal(a, b) for some in (cached, again) for a, b in zip(pixels(some), expected, strict=True))
    assert not read


def test_a_damaged_part_is_decoded_again(images, tmp_path, capsys):
    decoded_once(images, "auto", tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*/part-*/pixels.npy")
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    cached = decoded_once(images, "auto", tmp_path / "cache")
    assert "cached images" in capsys.readouterr().err
    assert all(np.array_equal(a, b) for a, b in zip(pixels(cached), pixels(images), strict=True))


def test_other_content_has_another_key(images, tmp_path):
    decoded_once(images, "auto", tmp_path / "cache")
    Image.new("RGB", (32, 32), "lime").save(tmp_path / "data" / "train" / "red" / "wide.png")
    changed = source(tmp_path / "data")
    cached = decoded_once(changed, "auto", tmp_path / "cache")
    keys = [json.loads(file.read_text()) for file in (tmp_path / "cache").glob("*/key.json")]
    assert len(keys) == 2 and len({key["data"] for key in keys}) == 2
    assert all(np.array_equal(a, b) for a, b in zip(pixels(cached), pixels(changed), strict=True))


def test_pixels_are_written_in_parts(images, tmp_path, monkeypatch):
    monkeypatch.setattr(image_cache, "PART_BYTES", 3000)
    cached = decoded_once(images, "auto", tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*/part-*"))) > 2
    assert all(np.array_equal(a, b) for a, b in zip(pixels(cached), pixels(images), strict=True))


def test_off_and_too_small_a_size_leave_the_files(images, tmp_path, capsys):
    for setting in ("off", "5KB"):
        same = decoded_once(images, setting, tmp_path / "cache")
        assert same is images
    assert not list((tmp_path / "cache").glob("*"))
    assert "--image-cache 5KB" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_said_and_does_without(images, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert decoded_once(images, "auto", tmp_path / "file" / "cache") is images
    assert "is not a folder" in capsys.readouterr().err


def test_an_image_that_cannot_be_read_is_named(images, tmp_path):
    (tmp_path / "data" / "train" / "red" / "wide.png").write_bytes(b"no image")
    with pytest.raises(CorruptImageError, match=r"wide\.png"):
        decoded_once(source(tmp_path / "data"), "auto", tmp_path / "cache")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("auto", None), ("off", 0), ("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("2G", 2_000_000_000), ("77", 77)],
)
def test_sizes(setting, expected):
    assert bytes_of(setting) == expected


@pytest.mark.parametrize("setting", ["", "much", "-1GB", "5PB", "1GB2"])
def test_what_is_no_size_is_refused_as_the_request_is_read(setting):
    with pytest.raises(InputError, match="--image-cache"):
        DataConfig(image_cache=setting)


def test_a_spawned_worker_maps_the_pixels_instead_of_copying_them(tmp_path):
    for number in range(2):
        place = tmp_path / "data" / "train" / "ab"[number]
        place.mkdir(parents=True)
        Image.fromarray(np.full((200, 300, 3), number + 1, np.uint8)).save(place / "x.png")
    cached = decoded_once(source(tmp_path / "data"), "auto", tmp_path / "cache")
    sent = pickle.dumps(cached.decoded)
    assert len(sent) < 10_000 < 2 * 200 * 300 * 3
    received = replace(cached, decoded=pickle.loads(sent))
    assert [int(picture.mean()) for picture in pixels(received)] == [1, 2]

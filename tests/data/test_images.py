"""Every mode becomes RGB, upright; what cannot be read is named."""

import io
import threading

import datasets
import numpy as np
import pytest
from PIL import Image
from transformers.image_utils import load_image

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data import images as images_module
from hf_cifar.data.images import CorruptImageError, LabeledImages, _warn_of_deep_grey
from hf_cifar.data.sources import load_source


def ramp(mode: str) -> Image.Image:
    """A grey ramp from black to white, 256 wide, in any mode."""
    grey = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (4, 1)))
    if mode == "I;16":
        return Image.fromarray(np.tile((np.arange(256) * 257).astype(np.uint16), (4, 1)))
    if mode == "I":
        return Image.fromarray(np.tile((np.arange(256) * 257).astype(np.int32), (4, 1)))
    return grey.convert("RGB").convert(mode)


def read(path) -> np.ndarray:
    """The pixels of a file as the network would be given them."""
    features = datasets.Features({"image": datasets.Image(decode=False)})
    rows = datasets.Dataset.from_dict({"image": [{"bytes": None, "path": str(path)}]}, features=features)
    (image,) = LabeledImages("train", rows, np.zeros(1, np.int64), np.arange(1), "mark").decode([0])
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK", "LA", "1"])
def test_every_mode_becomes_rgb_and_keeps_the_ramp(mode, tmp_path):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    ramp(mode).save(path)
    row = read(path)[0, :, 0].astype(int)
    assert row[:64].mean() < 70 and row[-64:].mean() > 185
    if mode not in ("P", "1"):
        assert np.abs(row - np.arange(256)).max() <= 2


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK", "LA", "1", "I", "I;16"])
def test_same_pixels_as_the_pipeline_reads(mode, tmp_path):
    path = tmp_path / {"CMYK": "x.jpg", "I": "x.tif"}.get(mode, "x.png")
    ramp(mode).save(path)
    assert np.array_equal(read(path), np.asarray(load_image(str(path))))


def test_16_bit_grey_is_read_as_pipeline_reads_it_and_that_is_said(tmp_path, capfd):
    _warn_of_deep_grey.cache_clear()
    ramp("I;16").save(tmp_path / "x.png")
    assert (read(tmp_path / "x.png")[0, 1:] == 255).all(), "Pillow clips"
    read(tmp_path / "x.png")
    assert capfd.readouterr().err.count("16-bit grey images") == 1
    ramp("L").save(tmp_path / "y.png")
    read(tmp_path / "y.png")
    assert "16-bit" not in capfd.readouterr().err


def test_exif_orientation_is_applied(tmp_path):
    image = Image.fromarray(np.zeros((2, 6, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read(tmp_path / "x.jpg").shape == (6, 2, 3)


def encoded(count: int, side: int = 8) -> LabeledImages:
    cells = []
    for number in range(count):
        buffer = io.BytesIO()
        Image.new("RGB", (side, side), (number, 0, 0)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(decode=False)})
    rows = datasets.Dataset.from_dict({"image": cells}, features=features)
    return LabeledImages("train", rows, np.arange(count), np.arange(count), "mark")


def test_selections_count_rows_of_the_split():
    some = encoded(6).select(np.array([5, 2, 4])).select(np.array([0, 2]))
    assert some.index.tolist() == [5, 4]
    assert some.targets.tolist() == [5, 4]
    assert [image.getpixel((0, 0))[0] for image in some.decode([1, 0])] == [4, 5]


def test_a_corrupt_image_is_named_with_its_place_and_the_way_on():
    images = encoded(3)
    cells = images.rows["image"][:]
    cells[1] = {"bytes": cells[1]["bytes"][:30], "path": "cat/7.png"}
    rows = datasets.Dataset.from_dict({"image": cells}, features=images.rows.features)
    images = LabeledImages("train", rows, images.labels, images.index, "mark")
    with pytest.raises(CorruptImageError, match=r"image 1 of train \(cat/7.png\) cannot be read .*--skip-corrupt"):
        images.decode([0, 1, 2])
    assert list(images.corrupt()) == [1]


def test_large_images_are_decoded_in_threads_in_order(monkeypatch):
    threads = set()
    plain = images_module._decoded

    def noted(*args):
        threads.add(threading.current_thread().name)
        return plain(*args)

    monkeypatch.setattr(images_module, "_decoded", noted)
    monkeypatch.setattr(images_module, "reading_threads", lambda: 4)
    for side, alone in ((8, True), (160, False)):
        threads.clear()
        assert [image.getpixel((0, 0))[0] for image in encoded(9, side).decode(range(9))] == list(range(9))
        assert (threads == {threading.main_thread().name}) == alone
    damaged = encoded(9, 160)
    cells = damaged.rows["image"][:]
    cells[7] = {"bytes": cells[7]["bytes"][:30], "path": None}
    rows = datasets.Dataset.from_dict({"image": cells}, features=damaged.rows.features)
    with pytest.raises(CorruptImageError, match="image 7 of train"):
        LabeledImages("train", rows, damaged.labels, damaged.index, "mark").decode(range(9))


def test_an_image_is_found_by_its_file_or_by_its_row(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["test"].select(np.array([7, 0]))
    files = images.files()
    assert files == ["test/green/1.png", "test/blue/0.png"]
    for file, picture in zip(files, images.decode([0, 1]), strict=True):
        assert np.array_equal(np.asarray(Image.open(image_folder / file).convert("RGB")), np.asarray(picture))
    digits = load_source(DataConfig(dataset="digits")).splits["train"].select(np.array([5, 1_000]))
    assert digits.files() == ["train[5]", "train[1000]"]

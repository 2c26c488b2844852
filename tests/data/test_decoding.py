"""What an image is by its content, and what no image may do."""

import os
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import EpsImagePlugin, Image
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data import decoding
from hf_cifar.data.content import image_hashes
from hf_cifar.data.decoding import open_image
from hf_cifar.data.images import CorruptImageError
from hf_cifar.data.sources import load_source
from hf_cifar.inference.image_reading import read_image

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.fixture
def ghostscript(tmp_path, monkeypatch) -> Path:
    """A program in the place of Ghostscript; it makes this file when it is started."""
    ran, program = tmp_path / "ran", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return ran


def test_postscript_called_png_starts_no_program(ghostscript, tmp_path):
    folder = write_images(tmp_path / "data" / "train", 2)
    file = folder / "red" / "x.png"
    file.write_bytes(EPS)
    with pytest.raises(OSError, match="cannot identify image file"):
        read_image(str(file))
    train = load_source(DataConfig(dataset=str(folder.parent))).splits["train"]
    assert [train.rows[position]["image"]["path"] for position in train.corrupt()] == [str(file)]
    assert not ghostscript.exists()
    with pytest.raises(OSError), Image.open(file) as image:
        image.load()
    assert ghostscript.exists(), "Pillow alone would have started it"


def test_the_content_decides_and_not_the_name(tmp_path):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "x.jpg", format="PNG")
    with open_image(tmp_path / "x.jpg") as image:
        assert (image.format, image.size) == ("PNG", (3, 2))


def test_pixels_are_counted_before_they_are_decoded(tmp_path, monkeypatch):
    """Also where a program has lifted Pillow's own limit."""
    file = tmp_path / "x.png"
    Image.new("1", (200, 100)).save(file)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 19_999)
    with pytest.raises(ValueError, match="200x100 pixels; at most 19,999"):
        open_image(file)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 20_000)
    open_image(file)


@pytest.fixture
def parquet(tmp_path):
    """`parquet(*cells)`: the train split of a Parquet file with these images, each `bytes` and `path`."""

    def write(*cells):
        labels = [number % 2 for number in range(len(cells))]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        table = pa.table({"image": pa.array(cells, kind), "label": labels})
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / "train.parquet")
        return load_source(DataConfig(dataset=str(tmp_path / "data"))).splits["train"]

    return write


def named(path) -> dict:
    return {"bytes": None, "path": str(path)}


def test_a_cell_names_no_file_outside_of_the_dataset(parquet, tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "private.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "private.png")
    names = ["/etc/passwd", tmp_path / "private.png", "../private.png", "link.png", "~/x.png", "http://localhost/x.png"]
    train = parquet(*map(named, names))
    for position in range(len(names)):
        with pytest.raises(CorruptImageError, match="cannot be read"):
            train.decode([position])
    assert image_hashes(train).tolist() == [0] * len(names), "their content is not read for a hash either"


def test_a_cell_may_name_a_file_of_the_dataset(parquet, tmp_path, monkeypatch):
    (tmp_path / "data" / "images").mkdir(parents=True)
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (4, 4), colour).save(tmp_path / "data" / "images" / f"{name}.png")
    train = parquet(named("images/a.png"), named(tmp_path / "data" / "images" / "b.png"))
    monkeypatch.chdir("/")
    assert [image.getpixel((0, 0)) for image in train.decode([0, 1])] == [(255, 0, 0), (0, 0, 255)]
    assert len(set(image_hashes(train).tolist()) - {0}) == 2


def test_a_pipe_is_no_image_and_nobody_waits_for_it(parquet, tmp_path):
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "pipe.png")
    train = parquet(named("pipe.png"), named("pipe.png"))
    with pytest.raises(CorruptImageError, match="not a regular file"):
        train.decode([0])
    assert image_hashes(train).tolist() == [0, 0]
    with pytest.raises(OSError, match="not a regular file"):
        read_image(str(tmp_path / "data" / "pipe.png"))


def test_an_empty_cell_is_named(parquet):
    train = parquet(None, {"bytes": None, "path": None})
    with pytest.raises(CorruptImageError, match=r"image 0 of train cannot be read \(the cell is empty\)"):
        train.decode([0])
    assert np.array_equal(image_hashes(train), [0, 0])

"""Datasets that nobody cleaned: each is trained on, with what is wrong said, or refused in one line before any work.

A new case is a function that fills a folder, with `@case(...)` above it.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.images import COLOURS, write_images

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


@dataclass(frozen=True)
class Case:
    """A dataset: what fills its folder, the status that a probe on it ends with, and words that are said."""

    fill: Callable[[Path], object]
    status: int
    said: tuple[str, ...]
    flags: tuple[str, ...]


CASES: dict[str, Case] = {}


def case(status: int, *said: str, flags: tuple[str, ...] = ()):
    def register(fill):
        CASES[fill.__name__.strip("_").replace("_", " ")] = Case(fill, status, said, flags)
        return fill

    return register


def colours(folder: Path, classes=("red", "green"), count: int = 8) -> Path:
    """A good image folder: train and test."""
    write_images(folder / "train", count, classes, seed=1)
    write_images(folder / "test", 3, classes, seed=2)
    return folder / "train"


def first_of(train: Path, content: bytes, name: str = "a.png") -> None:
    """Put a file among the images of the class green."""
    (train / "green" / name).write_bytes(content)


def encoded(colour=(9, 9, 9), size=(16, 16), mode="RGB", kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(file, kind, **options)
    return file.getvalue()


def noise(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def parquet(folder: Path, split: str, labels, cells=None, kind=None, **columns) -> None:
    """Write a split with one image for each label."""
    cells = [{"bytes": noise(number), "path": None} for number in range(len(labels))] if cells is None else cells
    image = pa.array(cells, IMAGE) if kind is None else pa.array(cells, kind)
    labels = labels if isinstance(labels, pa.Array) else pa.array(labels)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": image, "label": labels, **columns}), folder / f"{split}.parquet")


TWENTY = [0, 1] * 10


# --- folders ------------------------------------------------------------------------------------------------------


@case(2, "holds no images")
def nothing_at_all(folder):
    folder.mkdir()


@case(2, "holds no images")
def only_text(folder):
    (folder / "train" / "red").mkdir(parents=True)
    (folder / "train" / "red" / "notes.txt").write_text("red")


@case(2, "holds no images")
def only_hidden_files(folder):
    colours(folder / ".hidden")


@case(2, "only one class")
def one_class(folder):
    colours(folder, ["red"])


@case(0)
def an_empty_class(folder):
    (colours(folder) / "blue").mkdir()


@case(0)
def a_class_with_one_image(folder):
    write_images(colours(folder), 1, ["blue"])


@case(2, "labels out of range", "'blue'")
def a_class_that_only_test_has(folder):
    colours(folder)
    write_images(folder / "test", 1, ["blue"])


@case(0)
def a_class_that_test_lacks(folder):
    write_images(colours(folder), 4, ["blue"])


@case(2, "is not in the folder of a class")
def an_image_beside_the_classes(folder):
    (colours(folder) / "cover.png").write_bytes(encoded())


@case(2, "says no split")
def a_class_beside_the_splits(folder):
    colours(folder)
    write_images(folder, 2, ["blue"])


@case(2, "no train split")
def a_test_split_alone(folder):
    write_images(folder / "test", 4)


@case(0)
def classes_without_splits(folder):
    write_images(folder, 12)


@case(0)
def deeper_folders(folder):
    write_images(colours(folder) / "red" / "2024", 2, ["05"])


@case(0)
def upper_case_suffixes(folder):
    first_of(colours(folder), encoded(), "A.PNG")


@case(0)
def a_folder_called_png(folder):
    (colours(folder) / "red" / "x.png").mkdir()


@case(0)
def a_pipe_called_png(folder):
    os.mkfifo(colours(folder) / "red" / "x.png")


# --- files that are no images -------------------------------------------------------------------------------------


@case(2, "cannot be read", "--skip-corrupt")
def text_called_png(folder):
    first_of(colours(folder), b"hello")


@case(0, "1 unreadable image of train left out", flags=("--skip-corrupt",))
def text_called_png_that_may_be_skipped(folder):
    first_of(colours(folder), b"hello")


@case(2, "cannot be read", "--skip-corrupt")
def an_empty_file(folder):
    first_of(colours(folder), b"")


@case(2, "cannot be read", "--skip-corrupt")
def a_cut_file(folder):
    first_of(colours(folder), noise(1)[:300])


@case(0, "1 unreadable image of train", flags=("--skip-corrupt",))
def a_cut_file_that_may_be_skipped(folder):
    first_of(colours(folder), noise(1)[:300])


@case(2, "cannot be read", "--skip-corrupt")
def a_page_that_says_404(folder):
    first_of(colours(folder), b"<!DOCTYPE html><title>404</title>", "a.jpg")


@case(2, "cannot be read", "--skip-corrupt")
def postscript_called_png(folder):
    first_of(colours(folder), EPS)


@case(2, "cannot be read", "--skip-corrupt")
def zeros(folder):
    first_of(colours(folder), bytes(4096))


@case(2, "cannot be read", "--skip-corrupt")
def a_header_that_claims_a_billion_pixels(folder):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    first_of(colours(folder), b"\x89PNG\r\n\x1a\n" + content)


@case(2, "of test", "cannot be read", "--skip-corrupt")
def a_bad_image_in_test(folder):
    colours(folder)
    (folder / "test" / "red" / "a.png").write_bytes(b"hello")


@case(2, "every image of train is unreadable", flags=("--skip-corrupt",))
def nothing_but_bad_images(folder):
    train = colours(folder)
    for file in train.rglob("*.png"):
        file.write_bytes(b"hello")


@case(0, "1 images left out", "1 .heic files")
def a_photo_in_heic(folder):
    first_of(colours(folder), b"whatever", "a.heic")


@case(0, "1 images left out", "1 .svg files")
def a_drawing_in_svg(folder):
    first_of(colours(folder), b"<svg/>", "a.svg")


@case(0, "1 images left out", "1 a link that leads nowhere")
def a_broken_link(folder):
    (colours(folder) / "red" / "a.png").symlink_to("gone.png")


@case(0, "1 a link that leads nowhere")
def a_link_to_itself(folder):
    (colours(folder) / "red" / "a.png").symlink_to("a.png")


@case(0)
def folders_that_link_in_a_circle(folder):
    (colours(folder) / "red" / "again").symlink_to(folder)


@case(0)
def a_class_that_is_a_link(folder):
    train = colours(folder / "data")
    (train / "red").rename(folder / "elsewhere")
    (train / "red").symlink_to(folder / "elsewhere")
    (folder / "data").rename(folder.parent / "moved")
    (folder / "elsewhere").rename(folder.parent / "elsewhere")
    (folder.parent / "moved" / "train" / "red").unlink()
    (folder.parent / "moved" / "train" / "red").symlink_to(folder.parent / "elsewhere")
    folder.rmdir()
    (folder.parent / "moved").rename(folder)


# --- images of every kind -----------------------------------------------------------------------------------------


@case(0)
def every_mode(folder):
    train = colours(folder)
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        Image.new(mode, (16, 16)).save(train / "red" / f"{mode.replace(';', '-')}.png")
    for mode in ("CMYK", "I", "F", "LAB"):
        Image.new(mode, (16, 16)).save(train / "red" / f"{mode}.tif")


@case(0)
def images_of_one_pixel(folder):
    first_of(colours(folder), encoded(size=(1, 1)))


@case(0)
def images_of_extreme_shape(folder):
    train = colours(folder)
    first_of(train, encoded(size=(1, 3000)))
    first_of(train, encoded(size=(3000, 1)), "b.png")


@case(0)
def every_common_format(folder):
    train = colours(folder)
    for suffix, kind in ((".bmp", "BMP"), (".gif", "GIF"), (".tif", "TIFF"), (".webp", "WEBP"), (".ppm", "PPM")):
        first_of(train, encoded(kind=kind), "x" + suffix)


@case(0)
def a_film(folder):
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 90, 180)]
    frames[0].save(colours(folder) / "red" / "film.gif", save_all=True, append_images=frames[1:])


@case(0)
def images_that_lie_on_their_side(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    first_of(colours(folder), encoded(kind="JPEG", exif=exif), "a.jpg")


@case(0)
def exif_of_garbage(folder):
    first_of(colours(folder), encoded(kind="JPEG", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff"), "a.jpg")


@case(0)
def the_same_image_everywhere(folder):
    train = colours(folder)
    for file in [*train.rglob("*.png"), *(folder / "test").rglob("*.png")]:
        file.write_bytes(encoded())


# --- names --------------------------------------------------------------------------------------------------------

NAMES = {
    "markup": "<script>alert(1)<∕script>",
    "a formula": "=1+1",
    "template code": "{{ 7 * 7 }}{% raw %}",
    "format codes": "%s %d {0} {name}",
    "Markdown": "|a|b| [x](y) `z`",
    "dollar signs": "$x^2$ $",
    "line break": "two\nlines",
    "a leading dash": "-rf",
    "spaces": "  a  b ",
    "letters of every script": "猫 кот 🐈 قط",
    "of 255 bytes": "x" * 255,
    "of a number": "7",
    "of nothing visible": "\u200b",
    "quotes": "\"'\\",
    "null": "null",
}
for title, name in NAMES.items():
    CASES[f"a class with a name of {title}"] = Case(lambda folder, name=name: colours(folder, ["red", name]), 0, (), ())


@case(2, "LABEL_0")
def classes_called_label_0_and_label_1(folder):
    colours(folder, ["LABEL_0", "LABEL_1"])


@case(0)
def classes_that_differ_by_case(folder):
    colours(folder, ["cat", "Cat"])


@case(0)
def classes_that_differ_by_their_unicode_form(folder):
    colours(folder, ["\u00e9", "e\u0301"])


@case(2, "is not valid UTF-8: rename it")
def a_class_whose_name_is_no_text(folder):
    colours(folder, ["red", os.fsdecode(b"\xff\xfe")])


@case(2, "is not valid UTF-8: rename it")
def a_file_whose_name_is_no_text(folder):
    first_of(colours(folder), encoded(), os.fsdecode(b"\xff.png"))


# --- Parquet ------------------------------------------------------------------------------------------------------


@case(2, "train has no rows")
def a_train_split_of_no_rows(folder):
    parquet(folder, "train", pa.array([], pa.int64()), [])
    parquet(folder, "test", TWENTY)


@case(2, "test has no rows")
def a_test_split_of_no_rows(folder):
    parquet(folder, "train", TWENTY)
    parquet(folder, "test", pa.array([], pa.int64()), [])


@case(2, "validation has no rows")
def a_validation_split_of_no_rows(folder):
    parquet(folder, "train", TWENTY)
    parquet(folder, "validation", pa.array([], pa.int64()), [])


@case(2, "cannot be read as Parquet")
def a_cut_parquet_file(folder):
    parquet(folder, "train", TWENTY)
    file = folder / "train.parquet"
    file.write_bytes(file.read_bytes()[:-200])


@case(2, "cannot be read as Parquet")
def text_called_parquet(folder):
    folder.mkdir()
    (folder / "train.parquet").write_text("image,label")


@case(2, "cannot be read as Parquet")
def an_empty_parquet_file(folder):
    folder.mkdir()
    (folder / "train.parquet").touch()


@case(2, "cannot be read as Parquet")
def shards_of_different_columns(folder):
    parquet(folder, "train-00000-of-00002", TWENTY)
    parquet(folder, "train-00001-of-00002", TWENTY, other=pa.array(TWENTY))


@case(2, "no column")
def a_test_split_of_other_columns(folder):
    parquet(folder, "train", TWENTY)
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"picture": pa.array([{"bytes": noise(0), "path": None}], IMAGE)}), folder / "test.parquet")


@case(2, "--image-column")
def no_images(folder):
    folder.mkdir()
    pq.write_table(pa.table({"label": TWENTY}), folder / "train.parquet")


@case(2, "--label-column")
def no_labels(folder):
    folder.mkdir()
    cells = [{"bytes": noise(number), "path": None} for number in range(20)]
    pq.write_table(pa.table({"image": pa.array(cells, IMAGE)}), folder / "train.parquet")


@case(2, "--image-column")
def numbers_for_images(folder):
    parquet(folder, "train", TWENTY, list(range(20)), pa.int64())


@case(2, "--image-column")
def two_columns_of_images(folder):
    cells = pa.array([{"bytes": noise(number), "path": None} for number in range(20)], IMAGE)
    folder.mkdir()
    pq.write_table(pa.table({"left": cells, "right": cells, "label": TWENTY}), folder / "train.parquet")


@case(2, "missing label")
def labels_that_are_missing(folder):
    parquet(folder, "train", [0, 1, None] * 7)


@case(2, "missing label")
def names_that_are_missing(folder):
    parquet(folder, "train", ["a", "b", None] * 7)


@case(2, "missing label", "-1")
def minus_one_for_a_missing_label(folder):
    parquet(folder, "train", [0, 1, -1] * 7)


@case(2, "missing label")
def no_label_at_all(folder):
    parquet(folder, "train", pa.array([None] * 20, pa.int64()))


@case(2, "--label-column")
def fractions_for_labels(folder):
    parquet(folder, "train", [0.5, 1.5] * 10)


@case(2, "--label-column")
def lists_for_labels(folder):
    parquet(folder, "train", [[0], [0, 1]] * 10)


@case(2, "labels out of range")
def a_label_that_only_test_has(folder):
    parquet(folder, "train", TWENTY)
    parquet(folder, "test", [0, 1, 2])


@case(0)
def truth_values_for_labels(folder):
    parquet(folder, "train", [True, False] * 10)


@case(0)
def labels_of_one_byte(folder):
    parquet(folder, "train", pa.array([0, 255] * 10, pa.uint8()))


@case(0)
def labels_with_gaps(folder):
    parquet(folder, "train", [3, 10**12] * 10)


@case(0)
def names_as_large_strings(folder):
    parquet(folder, "train", pa.array(["a", "b"] * 10, pa.large_string()))


@case(2, "the cell is empty", "--skip-corrupt")
def a_cell_without_an_image(folder):
    cells = [{"bytes": noise(number), "path": None} for number in range(19)]
    parquet(folder, "train", TWENTY, [*cells, None])


@case(0, "1 unreadable image of train", flags=("--skip-corrupt",))
def a_cell_without_an_image_that_may_be_skipped(folder):
    cells = [{"bytes": noise(number), "path": None} for number in range(19)]
    parquet(folder, "train", TWENTY, [*cells, None])


@case(2, "cannot be read", "--skip-corrupt")
def a_cell_of_no_bytes(folder):
    cells = [{"bytes": noise(number), "path": None} for number in range(19)]
    parquet(folder, "train", TWENTY, [*cells, {"bytes": b"", "path": None}])


@case(2, "outside of the dataset", "--skip-corrupt")
def a_cell_that_names_a_private_file(folder):
    Image.new("RGB", (16, 16)).save(folder.parent / "private.png")
    cells = [{"bytes": noise(number), "path": None} for number in range(19)]
    parquet(folder, "train", TWENTY, [{"bytes": None, "path": str(folder.parent / "private.png")}, *cells])


@case(2, "outside of the dataset", "--skip-corrupt")
def a_cell_that_names_the_passwords(folder):
    parquet(folder, "train", TWENTY, [{"bytes": None, "path": "/etc/passwd"}] * 20)


@case(2, "cannot be read", "--skip-corrupt")
def a_cell_that_names_an_address(folder):
    parquet(folder, "train", TWENTY, [{"bytes": None, "path": "http://127.0.0.1:9/x.png"}] * 20)


@case(2, "not a regular file", "--skip-corrupt")
def a_cell_that_names_a_pipe(folder):
    folder.mkdir()
    os.mkfifo(folder / "pipe.png")
    parquet(folder, "train", TWENTY, [{"bytes": None, "path": "pipe.png"}] * 20)


@case(2, "cannot be read", "--skip-corrupt")
def a_cell_that_names_a_device(folder):
    parquet(folder, "train", TWENTY, [{"bytes": None, "path": "/dev/zero"}] * 20)


@case(0)
def cells_that_name_files_of_the_dataset(folder):
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.jpg").write_bytes(encoded(kind="JPEG", colour=(number * 9, 0, 0)))
    parquet(folder, "train", TWENTY, [{"bytes": None, "path": f"{number}.jpg"} for number in range(20)])


@case(2, "several splits")
def a_file_that_names_two_splits(folder):
    parquet(folder, "train-test", TWENTY)


@case(2, "says no split")
def a_file_that_names_no_split_beside_one_that_does(folder):
    parquet(folder, "train", TWENTY)
    parquet(folder, "extra", TWENTY)


@case(2, "folder")
def a_file_instead_of_a_folder(folder):
    folder.write_bytes(encoded())


assert len(COLOURS) == 3  # the cases count on it


def test_there_are_as_many_cases_as_promised():
    assert len(CASES) >= 80


# A run that trains takes a second or two; a refusal is quick.
NAMES_OF_CASES = [pytest.param(name, marks=() if CASES[name].status else pytest.mark.slow) for name in CASES]


@pytest.mark.parametrize("name", NAMES_OF_CASES)
def test_a_dataset_is_answered_as_promised(name, command_line, tiny_model, tmp_path):
    expected = CASES[name]
    expected.fill(tmp_path / "data")
    flags = ["--stage", "probe", "--model", tiny_model, "--dataset", tmp_path / "data", "--num-train-epochs", 1]
    flags += ["--feature-cache", tmp_path / "cache", "--output-dir", tmp_path / "run", *expected.flags]
    status = command_line.run(*flags)
    lines = command_line.err.strip().splitlines()
    assert status == expected.status, command_line.err
    for words in expected.said:
        assert words in command_line.err
    assert "Traceback" not in command_line.err
    if status:
        assert lines[-1].startswith("error: ")
        assert command_line.out == ""
        assert not list((tmp_path / "run").rglob("model")), "nothing was saved"
    else:
        assert (tmp_path / "run" / "probe" / "metrics.json").is_file()

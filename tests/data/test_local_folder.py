"""Which split a file belongs to, and what is refused rather than trained on."""

import os
import sys
from functools import cache

import datasets
import pytest
from PIL import Image
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data import image_files, local_folder
from hf_cifar.data.image_files import formats, image_suffixes, readable_suffixes
from hf_cifar.data.local_folder import read_folder
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError


def write_parquet(file, count=2):
    file.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    columns = {"image": [Image.new("RGB", (4, 4))] * count, "label": [row % 2 for row in range(count)]}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(file)


@pytest.mark.parametrize(("files", "expected"), [
    (["data/part-0.parquet"], {"train": 1}),
    (["a.parquet", "b.parquet"], {"train": 2}),
    (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"],
     {"train": 2, "test": 1}),
    (["default/train/0000.parquet", "default/validation/0000.parquet"], {"train": 1, "validation": 1}),
    (["train_0.parquet", "test_0.parquet"], {"train": 1, "test": 1}),
    (["digits_train.parquet", "digits_test.parquet"], {"train": 1, "test": 1}),
    (["test-data/train.parquet", "test-data/val.parquet"], {"train": 1, "validation": 1}),
    (["train.PARQUET", "TEST.parquet"], {"train": 1, "test": 1}),
])  # fmt: skip
def test_split_of_a_parquet_file(files, expected, tmp_path):
    for name in files:
        write_parquet(tmp_path / name)
    found = read_folder(tmp_path).files
    assert {split: len(paths) for split, paths in found.items()} == expected


def test_parquet_files_that_name_no_split_beside_others_are_refused(tmp_path):
    for name in ("train-0.parquet", "test-0.parquet", "extra-00000-of-00002.parquet", "extra-00001-of-00002.parquet"):
        write_parquet(tmp_path / name)
    with pytest.raises(InputError, match=r"extra-00000-of-00002\.parquet \(and 1 more\) .*\(train, test\): rename"):
        read_folder(tmp_path)


def test_a_file_that_names_two_splits_is_refused(tmp_path):
    write_parquet(tmp_path / "train-test.parquet")
    with pytest.raises(InputError, match=r"train-test\.parquet names several splits, train and test"):
        read_folder(tmp_path)


def test_image_folders_beside_those_of_splits_are_refused(tmp_path):
    for split in ("train", "test", "extra"):
        write_images(tmp_path / split, 2)
    with pytest.raises(InputError, match=r"extra/blue/0\.png \(and 5 more\) says no split") as refusal:
        read_folder(tmp_path)
    assert "move it out" in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_image_beside_the_folders_of_splits_is_refused(tmp_path):
    write_images(tmp_path / "train", 2)
    Image.new("RGB", (4, 4)).save(tmp_path / "preview.png")
    with pytest.raises(InputError, match=r"preview\.png says no split"):
        read_folder(tmp_path)


def test_photos_that_pillow_cannot_read_are_left_out_aloud(tmp_path, capsys, monkeypatch):
    folder = write_images(tmp_path / "train", 2).parent
    for name in ("1.heic", "2.HEIC"):
        (folder / "train" / "red" / name).write_bytes(b"whatever")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for cached in (formats, image_suffixes, readable_suffixes):
        monkeypatch.setattr(image_files, cached.__name__, cache(cached.__wrapped__))
    monkeypatch.setattr(local_folder, "readable_suffixes", image_files.readable_suffixes)
    monkeypatch.setattr(Image, "EXTENSION", {k: v for k, v in Image.registered_extensions().items() if v != "HEIF"})
    source = load_source(DataConfig(dataset=str(folder)))
    assert len(source.splits["train"]) == 6
    said = capsys.readouterr().err
    assert "2 images left out, which Pillow cannot read: 2 .heic files (first: train/red/1.heic)" in said
    assert "pip install 'hf_cifar[heic]' reads .heic" in said


def test_photos_of_a_telephone_are_read_with_the_plugin(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic")
    folder = write_images(tmp_path / "train", 2).parent
    photo = Image.new("RGB", (16, 16), (200, 10, 10))
    pillow_heif.from_pillow(photo).save(folder / "train" / "red" / "z.heic", quality=90)
    images = load_source(DataConfig(dataset=str(folder))).splits["train"]
    assert len(images) == 7
    assert abs(images.decode([6])[0].getpixel((8, 8))[0] - 200) < 12


def test_folders_without_images_are_said(tmp_path, capsys):
    folder = write_images(tmp_path / "train", 2).parent
    (folder / "train" / "violet").mkdir()
    (folder / "train" / "red" / "deeper").mkdir()
    assert load_source(DataConfig(dataset=str(folder))).label_names == ["blue", "green", "red"]
    said = capsys.readouterr().err
    assert "warning: no images in train/violet (1 folders): no classes there" in said


def test_a_single_folder_of_images_names_the_ways_to_say_classes(tmp_path):
    write_images(tmp_path, 2, ["images"])
    with pytest.raises(
        InputError, match=r"only one class in train, 'images': .*labels\.csv with the columns file_name"
    ):
        load_source(DataConfig(dataset=str(tmp_path)))


def test_drawings_and_broken_links_are_left_out_aloud(tmp_path, capsys):
    folder = write_images(tmp_path / "train", 2).parent
    (folder / "train" / "red" / "1.svg").write_text("<svg/>")
    (folder / "train" / "red" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "train" / "red" / "loop.png").symlink_to("loop.png")
    assert len(read_folder(folder).tables["train"]) == 6
    assert "3 images left out, which Pillow cannot read: 1 .svg files, 2 a link that leads" in capsys.readouterr().err


def test_the_folder_of_a_class_may_be_a_link(tmp_path):
    elsewhere = write_images(tmp_path / "disk", 2)
    (tmp_path / "data" / "train").mkdir(parents=True)
    for name in ("red", "green"):
        (tmp_path / "data" / "train" / name).symlink_to(elsewhere / name)
    (tmp_path / "data" / "train" / "green" / "circle").symlink_to(tmp_path / "data")
    assert read_folder(tmp_path / "data").tables["train"]["label"] == ["green"] * 2 + ["red"] * 2
    (tmp_path / "data" / "test").mkdir()
    for name in ("red", "green"):
        (tmp_path / "data" / "test" / name).symlink_to(elsewhere / name)
    assert len(read_folder(tmp_path / "data").tables["test"]) == 4, "two links may lead to one folder"


def test_a_name_that_is_no_text_is_refused(tmp_path):
    folder = write_images(tmp_path / "train", 2).parent
    (folder / "train" / "red" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    with pytest.raises(InputError, match=r"udcff\.png' is not valid UTF-8: rename it"):
        read_folder(folder)


def test_documents_are_no_images(tmp_path):
    folder = write_images(tmp_path / "train", 2).parent
    for name in ("scan.pdf", "figure.eps", "table.h5"):
        (folder / "train" / "red" / name).write_bytes(b"whatever")
    assert len(read_folder(folder).tables["train"]) == 6

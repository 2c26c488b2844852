"""Datasets in a zip archive: the same as the folder, and nothing outside of it is touched."""

import os
import stat
import zipfile

import numpy as np
import pytest
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data import archives
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_CIFAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "archives"


def packed(archive, folder, top=""):
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, os.path.join(top, path.relative_to(folder)))
        file.writestr("__MACOSX/._0.png", b"whatever")
        file.writestr(os.path.join(top, "red", ".DS_Store"), b"whatever")
    return archive


def load(archive):
    return load_source(DataConfig(dataset=str(archive)))


@pytest.mark.parametrize("top", ["", "photos", "a/b"])
def test_an_archive_is_its_folder(top, tmp_path, cache):
    folder = write_images(tmp_path / "photos", 3)
    there = load(folder)
    source = load(packed(tmp_path / "photos.zip", folder, top))
    assert (source.name, source.label_names) == (there.name, there.label_names)
    assert source.splits["train"].fingerprint == there.splits["train"].fingerprint
    for one, other in zip(source.splits["train"].decode(range(9)), there.splits["train"].decode(range(9)), strict=True):
        assert np.array_equal(one, other)
    assert source.layout.describe() == "class folders"


def test_it_is_unpacked_once_and_again_where_its_content_changes(tmp_path, cache, capsys):
    archive = packed(tmp_path / "photos.zip", write_images(tmp_path / "photos", 2))
    load(archive)
    load(archive.rename(tmp_path / "renamed.zip"))
    assert capsys.readouterr().err.count("unpacked /") == 1
    load(packed(archive, write_images(tmp_path / "photos", 2, seed=5)))
    assert capsys.readouterr().err.count("unpacked /") == 1
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "red/../../out.png", "..\\out.png", "C:\\out.png"])
def test_names_that_lead_out_are_refused_and_nothing_is_written(name, tmp_path, cache):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("red/0.png", b"whatever")
        file.writestr(name, b"whatever")
    with pytest.raises(InputError, match="leads out of its folder"):
        load(tmp_path / "x.zip")
    assert not list(tmp_path.rglob("*.png"))


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("red/0.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="a link: pack the file itself"):
        load(tmp_path / "x.zip")


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("red/0.png", bytes(3_000_000))
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1_000_000)
    with pytest.raises(InputError, match=r"would grow from .* kB to 3\.0 MB, more than images do"):
        load(tmp_path / "x.zip")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1_000}))
    with pytest.raises(InputError, match=r"needs 3\.0 MB, and 1\.0 kB are free"):
        load(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"no archive", "cannot be unpacked"),
        (lambda content: content.replace(b"whatever", b"whatevex"), "cannot be unpacked"),
        (
            lambda content: content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
            "encrypted",
        ),
    ],
)
def test_a_damaged_archive_is_one_line(damage, message, tmp_path, cache):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("red/0.png", b"whatever")
    content = damage((tmp_path / "x.zip").read_bytes())
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError, match=message) as refusal:
        load(tmp_path / "x.zip")
    assert "\n" not in str(refusal.value)
    assert not [path for path in cache.iterdir() if path.is_dir()], "nothing half unpacked stays"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("red/0.png", b"one")
        file.writestr("red/0.png", b"two")
    with pytest.raises(InputError, match="two entries of one name"):
        load(tmp_path / "x.zip")

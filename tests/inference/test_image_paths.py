import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from hf_cifar.errors import InputError
from hf_cifar.inference.image_paths import ImagePath, find_images, some_images


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with photos/b.jpg, photos/a.PNG, photos/2024/c.webp and what is no image."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/b.jpg", "photos/a.PNG", "photos/2024/c.webp", "photos/.hidden.png", "photos/.cache/d.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file, format="PNG")
    (tmp_path / "photos/notes.md").write_text("no image")
    (tmp_path / "photos/scan.data").write_bytes((tmp_path / "photos/b.jpg").read_bytes())
    (tmp_path / "empty").mkdir()
    return tmp_path


def paths(*sources):
    found = list(find_images(sources))
    assert not [item for item in found if item.fault]
    return [item.path for item in found]


def faults(*sources):
    return {item.path: item.fault for item in find_images(sources) if item.fault}


def test_a_file_counts_whatever_its_name(here):
    assert paths("photos/scan.data", "photos/b.jpg") == ["photos/scan.data", "photos/b.jpg"]


def test_a_folder_stands_for_the_images_below_it_by_name(here):
    assert paths("photos") == ["photos/2024/c.webp", "photos/a.PNG", "photos/b.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.jpg", ["photos/b.jpg"]),
        ("photos/?.*", ["photos/a.PNG", "photos/b.jpg"]),
        ("photos/**/*.webp", ["photos/2024/c.webp"]),
        ("photos/*.data", ["photos/scan.data"]),  # the suffix was asked for
        ("pho*", ["photos/2024/c.webp", "photos/a.PNG", "photos/b.jpg"]),
        ("photos/**", ["photos/2024/c.webp", "photos/a.PNG", "photos/b.jpg"]),
    ],
)
def test_globs(here, pattern, expected):
    assert paths(pattern) == expected


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(here):
    os.rename("photos/b.jpg", "photos/b[1].jpg")
    assert paths("photos/b[1].jpg") == ["photos/b[1].jpg"]


def test_a_list_of_paths(here):
    text = "\ufeff# chosen\n\nphotos/b.jpg\r\n  photos/2024  \nphotos/*.PNG\n#photos/scan.data\n"
    (here / "list.txt").write_text(text, encoding="utf-8")
    assert paths("list.txt") == ["photos/b.jpg", "photos/2024/c.webp", "photos/a.PNG"]


def test_standard_input_is_read_as_it_comes(here, monkeypatch):
    read, write = os.pipe()
    monkeypatch.setattr(sys, "stdin", open(read))  # noqa: SIM115
    with open(write, "wb", buffering=0) as lines:
        lines.write(b"photos/b.jpg\n")
        found = find_images(["-"])
        assert next(found) == ImagePath("photos/b.jpg")  # though the stream goes on
        lines.write(b"photos/a.PNG")
    assert [item.path for item in found] == ["photos/a.PNG"]


def test_a_path_that_is_given_twice_counts_once_where_it_first_appears(here, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"photos/scan.data\nphotos/a.PNG\n")))
    given = ["photos/b.jpg", "./photos/b.jpg", str(here / "photos"), "photos/b.jpg", "-", "-"]
    expected = ["photos/b.jpg", f"{here}/photos/2024/c.webp", f"{here}/photos/a.PNG", "photos/scan.data"]
    assert paths(*given) == expected


def test_a_web_address_is_left_as_it_is(here):
    assert paths("https://example.org/a.png?x=[1]") == ["https://example.org/a.png?x=[1]"]


def test_links_to_folders_are_followed_and_never_in_a_circle(here):
    os.symlink(here / "photos", here / "photos/2024/up")
    os.symlink(here / "photos/2024", here / "empty/link")
    assert paths("empty") == [
        "empty/link/c.webp",
        "empty/link/up/a.PNG",
        "empty/link/up/b.jpg",
    ]


def test_links_that_lead_nowhere_or_in_a_circle_are_reported_and_the_others_go_on(here):
    os.symlink(here / "gone.png", here / "photos/link.png")
    os.symlink("loop.png", here / "photos/loop.png")
    os.symlink("loop", here / "photos/loop")
    os.symlink(here / "photos", here / "photos/again")
    found = {image.path: image.fault for image in find_images(["photos"])}
    assert found.pop("photos/link.png") == found.pop("photos/loop.png") == "a link that leads nowhere"
    assert found and not any(found.values())


def test_folders_that_all_link_to_each_other_are_read_in_time(here):
    """Ten of them have millions of paths without a circle."""
    for one in range(10):
        (here / "web" / str(one)).mkdir(parents=True)
        (here / "web" / str(one) / "x.png").touch()
        for other in range(10):
            os.symlink(here / "web" / str(other), here / "web" / str(one) / f"to-{other}")
    found = paths("web")
    assert {path.split("/")[1] for path in found} == set("0123456789") and len(found) < 1_000


def test_what_was_asked_for_and_is_not_there_has_a_fault(here):
    (here / "list.txt").write_text("# nothing\n")
    os.mkfifo("pipe.png")
    found = faults("gone.png", "empty", "*.gif", "list.txt", "missing.txt", "pipe.png", "photos", "a\0b")
    assert "embedded null" in found.pop("a\0b"), "the rest of the message is that of the version of Python"
    assert found == {
        "gone.png": "No such file or directory",
        "empty": "holds no image",
        "*.gif": "matches no image",
        "list.txt": "names no image",
        "missing.txt": "No such file or directory",
        "pipe.png": "neither a file nor a folder",
    }


def test_a_folder_that_may_not_be_read_is_named_and_the_others_go_on(here, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("2024"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list(find_images(["photos"]))
    assert found == [
        ImagePath("photos/2024", "Permission denied"),
        ImagePath("photos/a.PNG"),
        ImagePath("photos/b.jpg"),
    ]


def test_a_file_name_that_is_no_utf_8(here, monkeypatch):
    name = b"photos/caf\xe9.png"
    with open(name, "wb") as file:
        file.write((here / "photos/b.jpg").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(name + b"\n"), encoding="utf-8"))
    assert paths("-") == [os.fsdecode(name)]


def test_how_many_there_are_is_known_unless_they_come_on_standard_input(here, monkeypatch):
    found, total = some_images(["gone.png", "photos"])
    assert (len(list(found)), total) == (4, 4)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"gone.png\nphotos/a.PNG\nphotos/b.jpg\n")))
    found, total = some_images(["-"])
    assert ([item.path for item in found], total) == (["gone.png", "photos/a.PNG", "photos/b.jpg"], None)


@pytest.mark.parametrize("sources", [[], ["empty"], ["gone.png", "empty"], ["-"]])
def test_nothing_to_predict_is_refused(here, monkeypatch, sources):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(InputError, match=r"--images .*(missing|no image to predict)"):
        some_images(sources)


def test_finding_images_imports_nothing_heavy():
    modules = "hf_cifar.inference.image_paths, hf_cifar.inference.answer_files"
    code = f"import sys, {modules}; assert not {{'torch', 'pyarrow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

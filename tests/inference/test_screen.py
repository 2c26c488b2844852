"""Predictions as a person reads them, on a terminal and on a page."""

import re

import pytest
from PIL import Image

from hf_cifar.inference.contact_sheet import SIDE, open_contact_sheet
from hf_cifar.inference.screen import answer_line


def scores(**labels):
    return [{"label": label, "score": score} for label, score in labels.items()]


def test_two_labels_and_what_is_more_than_nothing():
    assert answer_line("9.png", scores(nine=0.99996, eight=1e-5, two=0.0)) == "9.png  nine 100.0%  eight 0.0%"
    assert answer_line("9.png", scores(nine=0.9, eight=0.05, two=0.0496, one=0.0004)) == (
        "9.png  nine 90.0%  eight 5.0%  two 5.0%"
    )
    assert answer_line("9.png", scores(age=41.25)) == "9.png  age 41.2"


def test_a_name_does_not_command_the_terminal():
    line = answer_line("a\x1b[2Jb\r.png", scores(**{"c\x07at": 1.0}))
    assert line == "a�[2Jb�.png  c�at 100.0%"


@pytest.mark.parametrize(("size", "kind"), [((600, 300), "jpeg"), ((32, 32), "png")])
def test_a_contact_sheet_is_one_page_that_opens_offline(size, kind, tmp_path):
    path = tmp_path / "<b>&.png"
    Image.new("RGB", size, (200, 30, 30)).save(path)
    with open_contact_sheet(tmp_path / "page.html", "runs/<a>") as write:
        write(str(path), scores(**{"<script>": 0.75, "dog": 0.25}))
        write(str(path), scores(dog=1.0))
    page = (tmp_path / "page.html").read_text()
    assert page.count("<li>") == 2 and page.count(f"data:image/{kind};base64,") == 2
    assert page.count("<script>") == 1, "that of every page"
    assert "<bdi>&lt;script&gt;</bdi> 75.0%" in page and "<bdi>dog</bdi> 25.0%" in page
    assert "2 images: &lt;script&gt; 1, dog 1" in page
    assert "runs/&lt;a&gt;" in page and "&lt;b&gt;&amp;.png" in page
    assert not re.findall(r"https?://|src=\"(?!data:)|@import|url\(", page)
    assert SIDE >= 96 and len(page) < 40_000


def test_a_long_path_keeps_its_end_and_is_whole_in_its_title(tmp_path):
    path = tmp_path / f"{'long' * 40}-7.png"
    Image.new("RGB", (8, 8)).save(path)
    with open_contact_sheet(tmp_path / "page.html", "a") as write:
        write(str(path), scores(dog=1.0))
    shown = re.search(r'title="([^"]+)">([^<]+(?:<wbr>[^<]*)*)</span></li>', (tmp_path / "page.html").read_text())
    assert shown is not None and shown[1] == str(path)
    text = shown[2].replace("<wbr>", "")
    assert len(text) == 72 and "…" in text and text.endswith("long-7.png") and text.startswith(str(tmp_path)[:20])

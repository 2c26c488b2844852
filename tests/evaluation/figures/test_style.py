"""Style: PNGs are reproducible and independent of the settings of a notebook or another thread."""

import sys
import threading

import matplotlib
import numpy as np
import pytest
from PIL import Image
from support.drawings import SPLIT
from support.made_up_stage import ROBUSTNESS, heads_of, history_of

from hf_cifar.evaluation.figures.confusion import confusion_figure
from hf_cifar.evaluation.figures.curves import curves_figure
from hf_cifar.evaluation.figures.image_grid import image_grid_figure
from hf_cifar.evaluation.figures.per_class import per_class_figure
from hf_cifar.evaluation.figures.reliability import reliability_figure
from hf_cifar.evaluation.figures.robustness import robustness_figure
from hf_cifar.evaluation.figures.style import escape_text, png_figure, shorten
from hf_cifar.run.train_summary import Chosen

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
DRAWN = {
    "confusion": lambda path: confusion_figure(path, SPLIT),
    "per class": lambda path: per_class_figure(path, SPLIT),
    "reliability": lambda path: reliability_figure(path, SPLIT),
    "robustness": lambda path: robustness_figure(path, ROBUSTNESS),
    "curves": lambda path: curves_figure(path, history_of(), Chosen(epoch=3.0)),
    "heads": lambda path: curves_figure(path, heads_of(), Chosen(learning_rate=0.3)),
    "pictures": lambda path: image_grid_figure(path, "Worst", "how", [NOISE] * 6, [("ape", "→ bee", "99.0%")] * 6),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_a_whole_png_and_the_same_each_time(name, tmp_path):
    for number in range(2):
        DRAWN[name](tmp_path / f"{number}.png")
    with Image.open(tmp_path / "0.png") as picture:
        picture.load()
        assert 500 < picture.width < 1200
        assert 200 < picture.height < 1600
        assert set(picture.info) <= {"dpi"}  # no date, no version of a library
        assert np.asarray(picture.convert("L")).std() > 10
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_neither_uses_nor_changes_the_settings_of_a_notebook(name, tmp_path, monkeypatch):
    DRAWN[name](tmp_path / "plain.png")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # whoever imports it now fails
    theirs = {"figure.facecolor": "black", "axes.facecolor": "red", "lines.linewidth": 9, "font.size": 30}
    with matplotlib.rc_context(theirs):
        DRAWN[name](tmp_path / "theirs.png")
        assert {key: matplotlib.rcParams[key] for key in theirs} == theirs
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


def test_two_threads_draw_in_turn_and_leave_the_settings_as_they_were(tmp_path):
    entered, first_is_done = threading.Event(), threading.Event()

    def second() -> None:
        with png_figure(tmp_path / "second.png", 3, 2, "second") as figure:
            entered.set()
            first_is_done.wait(10)
            figure.add_axes((0.2, 0.2, 0.6, 0.6)).plot([1, 2])

    thread = threading.Thread(target=second)
    with matplotlib.rc_context({"axes.facecolor": "red"}):
        with png_figure(tmp_path / "first.png", 3, 2, "first"):
            thread.start()
            entered.wait(0.3)  # it must not get in now: it would draw on with the notebook's settings
        first_is_done.set()
        thread.join()
        assert matplotlib.rcParams["axes.facecolor"] == "red"
    second()
    content = (tmp_path / "second.png").read_bytes()
    thread = threading.Thread(target=second)
    with matplotlib.rc_context({"axes.facecolor": "red"}):
        thread.start()
        thread.join()
    assert (tmp_path / "second.png").read_bytes() == content


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("a$b", r"a\$b"), ("two\n lines", "two lines"), ("a" * 20 + "end", "aaaaaaaaaa…aaend")],
)
def test_names_are_drawn_as_they_stand(text, drawn):
    assert shorten(text, 16) == drawn
    assert escape_text("né “x” →") == "né “x” →"

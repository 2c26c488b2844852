"""Figures: what they draw against what they were given, the same bytes each time, no notebook's settings touched."""

import functools
import sys
import threading
import warnings
from dataclasses import replace
from math import sqrt

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from support.made_up_stage import ROBUSTNESS, heads_of, history_of, images_of, made_up, make_stage, section_of

from hf_cifar.evaluation.figures import (
    confusion_figure,
    curves_figure,
    per_class_figure,
    pictures_figure,
    reliability_figure,
    robustness_figure,
    save_figures,
)
from hf_cifar.evaluation.figures.style import picture, plain, short

NAMES = ["ape", "bee", "cat", "dog"]
SECTION = section_of(*made_up(), NAMES, temperature=1.4)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
DRAWN = {
    "confusion": lambda path: confusion_figure(path, SECTION),
    "per class": lambda path: per_class_figure(path, SECTION),
    "reliability": lambda path: reliability_figure(path, SECTION),
    "robustness": lambda path: robustness_figure(path, ROBUSTNESS),
    "curves": lambda path: curves_figure(path, history_of(), {"epoch": 3.0}),
    "heads": lambda path: curves_figure(path, heads_of(), {"learning_rate": 0.3}),
    "pictures": lambda path: pictures_figure(path, "Worst", "how", [NOISE] * 6, [("ape", "→ bee", "99.0%")] * 6),
}


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved, as matplotlib has it."""
    found = []
    save = Figure.savefig

    def saved(figure, *arguments, **options):
        found.append(figure)
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", saved)
    return found


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


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
        with picture(tmp_path / "second.png", 3, 2, "second") as figure:
            entered.set()
            first_is_done.wait(10)
            figure.add_axes((0.2, 0.2, 0.6, 0.6)).plot([1, 2])

    thread = threading.Thread(target=second)
    with matplotlib.rc_context({"axes.facecolor": "red"}):
        with picture(tmp_path / "first.png", 3, 2, "first"):
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


@functools.cache
def degenerate() -> dict[str, dict]:
    labels = np.arange(40) % 4
    right, wrong = 9.0 * np.eye(4)[labels], 9.0 * np.eye(4)[(labels + 1) % 4]
    missing = np.where(labels == 2, 3, labels)
    return {
        "all right": section_of(right, labels, NAMES, 0.5),
        "all wrong": section_of(wrong, labels, NAMES, 5.0),
        "one class missing": section_of(right, missing, NAMES),
        "ties": section_of(np.zeros((40, 4)), labels, NAMES, 1.0),
        "one image": section_of(right[:1], labels[:1], NAMES),
        "two classes": section_of(*made_up(50, 2), ["ape", "bee"]),
        "21 classes": section_of(*made_up(500, 21), [f"class {number}" for number in range(21)], 2.0),
        "150 classes": section_of(*made_up(2000, 150), [f"class {number}" for number in range(150)], 2.0),
        "strange names": section_of(*made_up(50, 4), ["a$b$c_{", "x" * 200, "two\nlines", "猫 кот"]),
    }


@pytest.mark.parametrize("case", degenerate())
@pytest.mark.parametrize("figure", [confusion_figure, per_class_figure, reliability_figure])
def test_whatever_was_predicted_is_drawn(figure, case, tmp_path):
    figure(tmp_path / "it.png", degenerate()[case])
    with Image.open(tmp_path / "it.png") as picture:
        picture.load()
        assert 500 < picture.width < 1200


def test_the_confusion_matrix_holds_the_counts_and_the_colour_of_their_share(figures, tmp_path):
    confusion_figure(tmp_path / "it.png", SECTION)
    axis = figures[0].axes[0]
    counts = np.array(SECTION["confusion_matrix"])
    written = {text.get_position(): int(text.get_text()) for text in axis.texts}
    assert written == {(column, row): count for (row, column), count in np.ndenumerate(counts) if count}
    shades = np.asarray(axis.images[0].get_array())
    assert np.array_equal(shades.argsort(axis=1), counts.argsort(axis=1))
    assert shades**2 == pytest.approx(counts / counts.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in axis.get_yticklabels()] == NAMES


def test_of_many_classes_the_counts_are_left_out_and_the_worst_are_shown(figures, tmp_path):
    names = [f"class {number}" for number in range(150)]
    section = section_of(*made_up(3000, 150, strength=4.0), names)
    confusion_figure(tmp_path / "matrix.png", section)
    per_class_figure(tmp_path / "classes.png", section)
    matrix, classes = (figure.axes[0] for figure in figures)
    assert not matrix.texts
    assert any("30 worst of 150" in text for text in words(figures[1]))
    recalls = sorted(values["recall"] for values in section["per_class"].values())
    assert [bar.get_width() for bar in classes.patches] == pytest.approx(recalls[:30])
    assert all("class" in label.get_text() for label in classes.get_yticklabels())


def test_bars_are_recall_with_its_wilson_interval_and_diamonds_precision(figures, tmp_path):
    per_class_figure(tmp_path / "it.png", SECTION)
    axis = figures[0].axes[0]
    classes = sorted(SECTION["per_class"].items(), key=lambda item: item[1]["recall"])
    assert [label.get_text() for label in axis.get_yticklabels()] == [name for name, _ in classes]
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([values["recall"] for _, values in classes])
    whiskers, diamonds = axis.collections
    for segment, (_, values) in zip(whiskers.get_segments(), classes, strict=True):
        share, count, z = values["recall"], values["num_examples"], 1.959964
        middle = (share + z * z / (2 * count)) / (1 + z * z / count)
        half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
        assert segment[:, 0] == pytest.approx([middle - half, middle + half], abs=1e-6)
    assert list(diamonds.get_offsets()[:, 0]) == pytest.approx([values["precision"] for _, values in classes])


def test_a_class_without_images_has_no_bar(figures, tmp_path):
    per_class_figure(tmp_path / "it.png", degenerate()["one class missing"])
    assert len(figures[0].axes[0].patches) == 3
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()][-1] == "cat"
    assert "no image has this label" in words(figures[0])


def test_the_reliability_diagram_shows_each_bin_and_its_gap(figures, tmp_path):
    reliability_figure(tmp_path / "it.png", SECTION)
    upper, lower = figures[0].axes
    bars, gaps = upper.containers
    filled = [entry for entry in SECTION["reliability"] if entry["count"]]
    assert [bar.get_x() for bar in bars] == pytest.approx([entry["low"] for entry in filled])
    assert [bar.get_height() for bar in bars] == pytest.approx([entry["accuracy"] for entry in filled])
    tops = [gap.get_y() + gap.get_height() for gap in gaps]
    assert tops == pytest.approx([entry["confidence"] for entry in filled])
    after = [entry for entry in SECTION["reliability_calibrated"] if entry["count"]]
    assert upper.lines[-1].get_ydata() == pytest.approx([entry["accuracy"] for entry in after])
    shares = [step.get_data().values for step in lower.patches]
    assert shares[0] == pytest.approx([entry["count"] / 300 for entry in SECTION["reliability"]])
    assert shares[1] == pytest.approx([entry["count"] / 300 for entry in SECTION["reliability_calibrated"]])
    assert "after temperature 1.40" in words(figures[0])


def test_without_a_temperature_only_the_model_as_it_is(figures, tmp_path):
    reliability_figure(tmp_path / "it.png", section_of(*made_up(), NAMES))
    assert not any("temperature" in text for text in words(figures[0]))
    assert len(figures[0].axes[1].patches) == 1


def test_every_corruption_at_every_severity_is_a_dot_the_hardest_first(figures, tmp_path):
    robustness_figure(tmp_path / "it.png", ROBUSTNESS)
    axis = figures[0].axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["fog", "gaussian noise", "jpeg"]
    dots = axis.collections[1:]
    assert len(dots) == 5
    for severity, dot in enumerate(dots):
        expected = [ROBUSTNESS["corruptions"][name][severity] for name in ("fog", "gaussian_noise", "jpeg")]
        assert list(dot.get_offsets()[:, 0]) == pytest.approx(expected)
    assert axis.lines[0].get_xdata() == [0.8125, 0.8125]


def curves_of(axis) -> list[list[float]]:
    return [list(line.get_ydata()) for line in axis.lines if line.get_transform() == axis.transData]


def test_curves_are_the_columns_of_the_history(figures, tmp_path):
    history = history_of(epochs=4)
    assert curves_figure(tmp_path / "it.png", history, {"epoch": 3.0})
    loss, scores, rates = figures[0].axes
    for axis, columns in (
        (loss, ("loss", "validation_nll")),
        (scores, ("validation_accuracy", "validation_f1_macro")),
        (rates, ("learning_rate/stem", "learning_rate/head")),
    ):
        assert curves_of(axis) == [[row[column] for row in history] for column in columns]
        assert list(axis.lines[0].get_xdata()) == [3.0, 3.0]
        assert axis.get_xlim() == loss.get_xlim()
    assert "Upright line: the epoch that was kept, 3" in words(figures[0])
    assert {"stem", "head", "training", "validation", "accuracy", "macro F1"} <= set(words(figures[0]))


def test_groups_that_share_a_rate_are_one_line(figures, tmp_path):
    history = [{**row, "learning_rate/head": row["learning_rate/stem"]} for row in history_of()]
    curves_figure(tmp_path / "it.png", history)
    assert len(curves_of(figures[0].axes[2])) == 1
    assert "all layers" in words(figures[0])


def test_competing_heads_are_drawn_and_the_kept_one_stands_out(figures, tmp_path):
    history = heads_of()
    curves_figure(tmp_path / "it.png", history, {"learning_rate": 0.3})
    heads = figures[0].axes[0]
    lines = [line for line in heads.lines if line.get_transform() == heads.transData]
    for line, rate in zip(lines, ("0.1", "0.3", "1"), strict=True):
        assert list(line.get_ydata()) == [row[f"validation_accuracy/{rate}"] for row in history]
    widths = [line.get_linewidth() for line in lines]
    assert widths[1] > widths[0] == widths[2]
    assert len({to_hex(line.get_color()) for line in lines}) == 3


def test_a_path_of_strengths_is_drawn_by_strength(figures, tmp_path):
    history = [
        {"strength": 10.0**-power, "loss": 1.0 / power, "validation_accuracy": 0.1 * power, "validation_nll": 1.0}
        for power in (1, 2, 3)
    ]
    assert curves_figure(tmp_path / "it.png", history, {"strength": 0.01})
    axis = figures[0].axes[0]
    assert axis.get_xscale() == "log"
    assert [0.001, 0.01, 0.1] in [list(line.get_xdata()) for line in axis.lines]


@pytest.mark.parametrize("history", [history_of(1), heads_of(1), [{"epoch": 1.0, "step": 1, "loss": 0.0}]])
def test_one_row_of_history_is_enough(history, tmp_path):
    assert curves_figure(tmp_path / "it.png", history)


def test_rows_without_validation_are_left_out_of_its_lines(figures, tmp_path):
    history = [{"epoch": 0.5, "step": 5, "loss": 3.0, "learning_rate": 0.1}, *history_of(2)]
    curves_figure(tmp_path / "it.png", history)
    loss, scores, _ = figures[0].axes
    assert [len(line) for line in curves_of(loss)] == [3, 2]
    assert scores.get_xlim() == loss.get_xlim()
    assert [len(line) for line in curves_of(scores)] == [2, 2]


def test_without_a_history_there_is_no_figure(tmp_path):
    assert not curves_figure(tmp_path / "it.png", [])
    assert not (tmp_path / "it.png").exists()


def test_a_tiny_image_is_shown_dot_by_dot(tmp_path):
    dots = Image.fromarray(np.array([[[200, 0, 0], [0, 200, 0]], [[0, 0, 200], [9, 9, 9]]], dtype=np.uint8))
    pictures_figure(tmp_path / "it.png", "", "", [dots], [("a",)])
    with Image.open(tmp_path / "it.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200), (9, 9, 9)):
        assert (pixels == colour).all(axis=1).sum() == 74 * 74


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("a$b", r"a\$b"), ("two\n lines", "two lines"), ("a" * 20 + "end", "aaaaaaaaaa…aaend"), ("猫", "□")],
)
def test_names_are_drawn_as_they_stand(text, drawn):
    assert short(text, 16) == drawn
    assert plain("né “x” →") == "né “x” →"


def test_the_figures_of_a_stage(figures, tmp_path):
    stage = make_stage(tmp_path, robustness=ROBUSTNESS)
    found = save_figures(stage.folder, stage.metrics, stage.images)
    assert list(found) == [
        *("learning_curves", "confusion_matrix", "reliability", "per_class", "mistakes", "label_errors", "robustness")
    ]
    for name, path in found.items():
        assert path == stage.folder.figures / f"{name}.png"
        Image.open(path).load()
    rows = stage.folder.mistakes.read_text().splitlines()[1:25]
    shown = next(words(figure) for figure in figures if "Worst mistakes" in words(figure))
    assert [text.splitlines()[0] for text in shown[2:]] == [row.split(",")[1] for row in rows]
    assert [text.splitlines()[1] for text in shown[2:]] == [f"→ {row.split(',')[2]}" for row in rows]


def test_what_is_not_there_is_not_drawn_and_what_was_there_goes(tmp_path):
    stage = make_stage(tmp_path, robustness=ROBUSTNESS)
    save_figures(stage.folder, stage.metrics, stage.images)
    (stage.folder.figures / "augmentation.png").write_bytes(b"of training")
    for path in (stage.folder.history, stage.folder.label_errors):
        path.unlink()
    stage.folder.mistakes.write_text(stage.folder.mistakes.read_text().splitlines()[0] + "\n")
    del stage.metrics["robustness"]
    assert set(save_figures(stage.folder, stage.metrics, stage.images)) == {
        *("confusion_matrix", "reliability", "per_class")
    }
    left = {path.name for path in stage.folder.figures.iterdir()}
    assert left == {"confusion_matrix.png", "reliability.png", "per_class.png", "augmentation.png", "images"}
    assert not list((stage.folder.figures / "images").iterdir())


def test_an_evaluation_has_no_learning_curves(tmp_path):
    stage = make_stage(tmp_path, "evaluate", strength=60.0)
    assert "learning_curves" not in save_figures(stage.folder, stage.metrics, stage.images)


def test_images_are_read_again_by_their_row_and_only_those_shown(tmp_path, monkeypatch):
    stage = make_stage(tmp_path, count=400, strength=1.0)
    rows = [int(line.split(",")[0]) for line in stage.folder.mistakes.read_text().splitlines()[1:25]]
    colours = [(row % 256, row // 256 * 50, 99) for row in range(400)]
    pictures = [Image.new("RGB", (300, 200) if row == rows[0] else (8, 8), colours[row]) for row in range(400)]
    # Another order and a part only, as after --max-eval-samples.
    images = replace(images_of(pictures, stage.images.labels), index=np.random.default_rng(0).permutation(400))
    read = []
    decode = type(images).decode

    def counted(self, positions):
        read.extend(self.index[positions])
        return decode(self, positions)

    monkeypatch.setattr(type(images), "decode", counted)
    save_figures(stage.folder, stage.metrics, images)
    assert sorted(read) == sorted(set(rows))
    thumbnails = stage.folder.figures / "images"
    assert {path.stem for path in thumbnails.iterdir()} == {str(row) for row in rows}
    for row in rows[1:]:
        with Image.open(thumbnails / f"{row}.png") as picture:
            assert picture.size == (8, 8)
            assert picture.getpixel((3, 3)) == colours[row]
    with Image.open(thumbnails / f"{rows[0]}.jpg") as picture:
        assert picture.size == (160, 107)
        assert np.abs(np.subtract(picture.getpixel((80, 50)), colours[rows[0]])).max() < 5

"""Recall and precision by class: bars, intervals and order."""

from math import sqrt

import pytest
from PIL import Image
from support.drawings import CASES, SPLIT, degenerate, words
from support.made_up_stage import made_up, split_metrics_of

from hf_cifar.evaluation.figures.confusion import confusion_figure
from hf_cifar.evaluation.figures.per_class import describe_per_class, per_class_figure


def test_of_many_classes_the_counts_are_left_out_and_the_worst_are_shown(figures, tmp_path):
    names = [f"class {number}" for number in range(150)]
    split = split_metrics_of(*made_up(3000, 150, strength=4.0), names)
    confusion_figure(tmp_path / "matrix.png", split)
    per_class_figure(tmp_path / "classes.png", split)
    matrix, classes = (figure.axes[0] for figure in figures)
    assert not matrix.texts
    assert any("30 of 150" in text for text in words(figures[1]))
    recalls = sorted(values.recall for values in split.per_class.values())
    assert [bar.get_width() for bar in classes.patches] == pytest.approx(recalls[:30])
    assert all("class" in label.get_text() for label in classes.get_yticklabels())


def test_bars_are_recall_with_its_wilson_interval_and_diamonds_precision(figures, tmp_path):
    per_class_figure(tmp_path / "it.png", SPLIT)
    axis = figures[0].axes[0]
    classes = sorted(SPLIT.per_class.items(), key=lambda item: item[1].recall)
    assert [label.get_text() for label in axis.get_yticklabels()] == [name for name, _ in classes]
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([values.recall for _, values in classes])
    whiskers, diamonds = axis.collections
    for segment, (_, values) in zip(whiskers.get_segments(), classes, strict=True):
        share, count, z = values.recall, values.num_examples, 1.959964
        middle = (share + z * z / (2 * count)) / (1 + z * z / count)
        half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
        assert segment[:, 0] == pytest.approx([middle - half, middle + half], abs=1e-6)
    assert list(diamonds.get_offsets()[:, 0]) == pytest.approx([values.precision for _, values in classes])


def test_a_class_without_images_has_no_bar(figures, tmp_path):
    per_class_figure(tmp_path / "it.png", degenerate("one class missing"))
    assert len(figures[0].axes[0].patches) == 3
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()][-1] == "cat"
    assert "no images" in words(figures[0])


@pytest.mark.parametrize("case", CASES)
def test_any_predictions_are_drawn(case, tmp_path):
    per_class_figure(tmp_path / "it.png", degenerate(case))
    with Image.open(tmp_path / "it.png") as picture:
        picture.load()
        assert 500 < picture.width < 1200


def test_alternative_text():
    split = split_metrics_of(*made_up(), ["ape", "bee", "cat", "dog"])
    recalls = {name: metrics.recall for name, metrics in split.per_class.items()}
    worst, best = min(recalls, key=recalls.get), max(recalls, key=recalls.get)
    text = describe_per_class(split)
    # Rounded down: 0.97778 is 97.77%.
    low, high = (f"{int(1e4 * recalls[name]) / 100:.2f}%" for name in (worst, best))
    assert text.endswith(f"Lowest recall: {worst}, {low}; highest: {best}, {high}.")
    assert "the only class with images" in describe_per_class(degenerate("one image"))

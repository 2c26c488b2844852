"""The confusion matrix: counts and colours against the matrix."""

import numpy as np
import pytest
from PIL import Image
from support.drawings import CASES, NAMES, SPLIT, degenerate
from support.made_up_stage import split_metrics_of

from hf_cifar.evaluation.figures.confusion import confusion_figure, describe_confusion


def test_the_confusion_matrix_holds_the_counts_and_the_colour_of_their_share(figures, tmp_path):
    confusion_figure(tmp_path / "it.png", SPLIT)
    axis = figures[0].axes[0]
    counts = np.array(SPLIT.confusion_matrix)
    written = {text.get_position(): int(text.get_text()) for text in axis.texts}
    assert written == {(column, row): count for (row, column), count in np.ndenumerate(counts) if count}
    shades = np.asarray(axis.images[0].get_array())
    assert np.array_equal(shades.argsort(axis=1), counts.argsort(axis=1))
    assert shades**2 == pytest.approx(counts / counts.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in axis.get_yticklabels()] == NAMES


@pytest.mark.parametrize("case", CASES)
def test_any_predictions_are_drawn(case, tmp_path):
    confusion_figure(tmp_path / "it.png", degenerate(case))
    with Image.open(tmp_path / "it.png") as picture:
        picture.load()
        assert 500 < picture.width < 1200


def test_alternative_text():
    matrix = np.array([[8, 2, 0], [0, 9, 1], [0, 0, 10]])
    labels, predictions = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    split = split_metrics_of(9.0 * np.eye(3)[predictions], labels, NAMES[:3])
    text = "Confusion matrix of 3 classes; most confused: ape predicted as bee, 2 times; bee predicted as cat, once."
    assert describe_confusion(split) == text
    assert describe_confusion(degenerate("all correct")).endswith("no image was misclassified.")

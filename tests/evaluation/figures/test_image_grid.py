"""Grids of images: tiny images pixel by pixel."""

import numpy as np
from PIL import Image

from hf_cifar.evaluation.figures.image_grid import image_grid_figure, predictions_figure
from hf_cifar.evaluation.image_table import ImageRow


def test_a_tiny_image_is_shown_dot_by_dot(tmp_path):
    dots = Image.fromarray(np.array([[[200, 0, 0], [0, 200, 0]], [[0, 0, 200], [9, 9, 9]]], dtype=np.uint8))
    image_grid_figure(tmp_path / "it.png", "", "", [dots], [("a",)])
    with Image.open(tmp_path / "it.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200), (9, 9, 9)):
        assert (pixels == colour).all(axis=1).sum() == 74 * 74


def test_captions_are_label_prediction_and_probability(figures, tmp_path):
    row = ImageRow(7, "ape", "bee", 0.0004, 0.99999, 7.8)
    assert predictions_figure(tmp_path / "it.png", "Worst", [row], {7: Image.new("RGB", (8, 8))})
    texts = [text.get_text() for text in figures[0].texts]
    assert texts[0] == "Worst"
    assert texts[-1].split("\n") == ["ape", "→ bee", "99.9%"]
    assert not predictions_figure(tmp_path / "none.png", "Worst", [], {})
    assert not (tmp_path / "none.png").exists()

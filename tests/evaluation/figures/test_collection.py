"""All figures of a stage: what is drawn, what is removed, which images are read."""

from dataclasses import replace

import numpy as np
from PIL import Image
from support.drawings import words
from support.made_up_stage import ROBUSTNESS, images_of, make_stage

from hf_cifar.evaluation.figures.collection import save_figures


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
    assert set(save_figures(stage.folder, replace(stage.metrics, robustness=None), stage.images)) == {
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
    lines = [line.split(",") for line in stage.folder.mistakes.read_text().splitlines()[1:]]
    # The worst mistakes, and the first four of each cell of the confusion matrix.
    cells: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        cells.setdefault((line[1], line[2]), []).append(int(line[0]))
    rows = [int(line[0]) for line in lines[:24]]
    rows += sorted({row for cell in cells.values() for row in cell[:4]} - set(rows))
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

"""Example images: one a class, with the scores that `pipeline` gives for the saved file."""

import json

import numpy as np
import pytest
from PIL import Image
from support.made_up_stage import images_of
from support.models import processor, tiny_resnet
from transformers import pipeline

from hf_cifar.evaluation.examples import save_examples

NAMES = ["ape", "bee/1", "c a t", "dög", "eel", "fox"]


def save(folder, labels: np.ndarray, size: tuple[int, int]):
    model = tiny_resnet(len(NAMES))
    model.config.id2label = dict(enumerate(NAMES))
    model.config.label2id = {name: index for index, name in enumerate(NAMES)}
    rng = np.random.default_rng(0)
    shape = (size[1], size[0], 3)
    pictures = [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for _ in labels]
    save_examples(folder, model, processor(16), images_of(pictures, labels), NAMES)
    return model, json.loads((folder / "examples.json").read_text())


@pytest.mark.parametrize("size", [(16, 16), (600, 300)])
def test_scores_are_those_of_pipeline_on_the_saved_file(size, tmp_path):
    model, rows = save(tmp_path / "examples", np.array([3, 0, 1, 1, 2, 4, 5]), size)
    classify = pipeline("image-classification", model=model, image_processor=processor(16))
    for row in rows:
        expected = classify(str(tmp_path / "examples" / row["file"]), top_k=5)
        assert [entry["label"] for entry in row["output"]] == [entry["label"] for entry in expected]
        scores = [entry["score"] for entry in expected]
        assert [entry["score"] for entry in row["output"]] == pytest.approx(scores, abs=1e-6)
        with Image.open(tmp_path / "examples" / row["file"]) as picture:
            assert max(picture.size) <= 512


def test_first_image_of_each_of_a_few_classes(tmp_path):
    folder = tmp_path / "examples"
    _, rows = save(folder, np.array([5, 0, 2, 2, 0, 3, 5]), (16, 16))
    assert [(row["index"], row["label"]) for row in rows] == [(1, "ape"), (2, "c a t"), (5, "dög"), (0, "fox")]
    assert {path.name for path in folder.iterdir()} == {*(row["file"] for row in rows), "examples.json"}
    assert [row["file"] for row in rows[1:3]] == ["2-c-a-t.png", "5-dog.png"]
    _, rows = save(folder, np.array([1, 1]), (16, 16))
    assert [row["label"] for row in rows] == ["bee/1"]
    assert {path.name for path in folder.iterdir()} == {"0-bee-1.png", "examples.json"}

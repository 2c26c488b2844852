"""What a stage leaves of an evaluated split: every file, with the metrics written last."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.made_up_stage import images_of, metrics_of
from support.models import processor, tiny_resnet

from hf_cifar.data.images import CorruptImageError
from hf_cifar.evaluation import artifacts
from hf_cifar.evaluation.artifacts import label_names, save_artifacts
from hf_cifar.evaluation.compute_metrics import compute_metrics
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics


@pytest.fixture
def saved(tmp_path):
    """A folder, and the arguments that were saved to it."""
    from PIL import Image

    model = tiny_resnet(3)
    model.config.id2label = {2: "cat", 0: "ape", 1: "bee"}
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    logits = rng.normal(size=(12, 3)).astype(np.float32)
    pictures = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in labels]
    metrics = metrics_of("evaluate", compute_metrics(logits, labels, label_names(model)))
    return StageFolder(tmp_path / "evaluate"), (metrics, logits, images_of(pictures, labels), model, processor(16))


def test_every_file_is_there_and_agrees_with_the_logits(saved):
    folder, arguments = saved
    save_artifacts(folder, *arguments)
    metrics, logits, images = arguments[:3]
    assert StageMetrics.read(folder.metrics) == metrics
    assert pq.read_table(folder.predictions).to_pydict()["prediction"] == logits.argmax(1).tolist()
    with folder.mistakes.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {int(row["index"]) for row in rows} == set(np.flatnonzero(logits.argmax(1) != images.targets).tolist())
    assert all(["ape", "bee", "cat"].index(row["label"]) == images.targets[int(row["index"])] for row in rows)
    files = images.files()
    assert pq.read_table(folder.predictions).to_pydict()["file"] == files and all(files)
    assert {row["file"] for row in rows} == {files[int(row["index"])] for row in rows}
    assert files[int(rows[0]["index"])] in folder.report.read_text() and folder.label_errors.is_file()
    assert (folder.figures / "confusion_matrix.png").is_file()
    assert len(json.loads((folder.examples / "examples.json").read_text())) == 3


def test_without_all_files_there_are_no_metrics(saved, monkeypatch):
    def fail(*_):
        raise CorruptImageError("gone")

    monkeypatch.setattr(artifacts, "save_figures", fail)
    folder, arguments = saved
    with pytest.raises(CorruptImageError):
        save_artifacts(folder, *arguments)
    assert not folder.metrics.exists() and folder.read_metrics() is None


def test_label_names_are_in_the_order_of_the_logits(saved):
    assert label_names(saved[1][3]) == ["ape", "bee", "cat"]

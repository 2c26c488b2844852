"""`--report-to tensorboard`: what TensorBoard itself reads of a run."""

import csv
import io

import pytest

from hf_cifar.run.stage_metrics import StageMetrics


def read(folder):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = events.EventAccumulator(str(folder))
    reader.Reload()
    return reader


def test_curves_a_layer_group_metrics_figures_and_report(command_line, image_folder, tiny_model, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    flags = ("--dataset", image_folder, "--model", tiny_model, "--output-dir", tmp_path / "run", "--bn", "train")
    options = (*flags, "--num-train-epochs", 2, "--layer-decay", 0.5, "--report-to", "tensorboard")
    assert command_line.run("finetune", *options) == 0, command_line.err
    folder = tmp_path / "run" / "tensorboard" / "finetune"
    assert f"tensorboard --logdir {folder.parent}" in command_line.err
    assert not list((tmp_path / "run" / "finetune").rglob("events.*")), "not among the checkpoints"
    reader = read(folder)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "run" / "finetune" / "history.csv").read_text())))
    for column in [name for name in rows[0] if name.startswith("learning_rate/")]:
        logged = [event.value for event in reader.Scalars(f"train/{column}")]
        assert logged == pytest.approx([float(row[column]) for row in rows])
    accuracies = [event.value for event in reader.Scalars("eval/accuracy")]
    assert accuracies == pytest.approx([float(row["validation_accuracy"]) for row in rows])
    test = StageMetrics.read(tmp_path / "run" / "finetune" / "metrics.json").test
    assert reader.Scalars("final_test/accuracy")[0].value == pytest.approx(test.accuracy)
    assert "figures/confusion_matrix" in reader.Tags()["images"]
    # A run that replaces this one begins with empty curves.
    assert command_line.without_pictures().run("finetune", *options, "--overwrite") == 0, command_line.err
    assert len(read(folder).Scalars("eval/accuracy")) == 2

"""`--report-to`: what TensorBoard, trackio, MLflow and wandb have of a run, as far as it goes by their own readers."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest

from hf_cifar.run.stage_metrics import StageMetrics
from tests.support import wandb_files


def read(folder):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = events.EventAccumulator(str(folder))
    reader.Reload()
    return reader


def test_curves_a_layer_group_metrics_figures_and_report(command_line, image_folder, tiny_model, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    flags = ("--dataset", image_folder, "--model", tiny_model, "--output-dir", tmp_path / "run", "--bn", "train")
    options = (*flags, "--num-train-epochs", 2, "--layer-decay", 0.5, "--report-to", "tensorboard")
    before = "from hf_cifar.utils import displays; displays.LINE_SECONDS = displays.LINE_PART = 0"
    assert command_line.run("finetune", *options, before=before) == 0, command_line.err
    for line in ("fine-tuning, epoch 1/2: 50%", "fine-tuning, epoch 2/2: 100%"):
        assert line in command_line.err, "a log file says how far it is"
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
    options += ("--overwrite", "--disable-tqdm", "true")
    assert command_line.without_pictures().run("finetune", *options, before=before) == 0, command_line.err
    assert "100%" not in command_line.err
    assert len(read(folder).Scalars("eval/accuracy")) == 2


@pytest.fixture
def tracked(command_line, image_folder, tiny_model, tmp_path):
    """Run a fine-tuning of two epochs with a tracker, in a fresh folder of its own, and return its history."""

    def run(tracker, *options):
        flags = ("--dataset", image_folder, "--model", tiny_model, "--output-dir", tmp_path / "run", "--bn", "train")
        flags += ("--num-train-epochs", 2, "--layer-decay", 0.5, "--report-to", tracker)
        assert command_line.run("finetune", *flags, *options) == 0, command_line.err
        (line,) = [line for line in command_line.err.splitlines() if line.startswith("curves, figures and metrics: ")]
        assert str(tmp_path / "run" / tracker) in line
        assert len(command_line.out.splitlines()) == 1, "the result alone is on standard output"
        return list(csv.DictReader(io.StringIO((tmp_path / "run" / "finetune" / "history.csv").read_text())))

    return run


def curves(rows):
    """The curves of a history, under the names that trackers have."""
    columns = {f"train/{name}": name for name in rows[0] if name.startswith("learning_rate/")}
    assert len(columns) > 2
    columns["eval/accuracy"] = "validation_accuracy"
    return {name: [float(row[column]) for row in rows] for name, column in columns.items()}


@pytest.mark.slow
def test_trackio_gets_curves_a_layer_group_metrics_figures_and_report(tracked, tmp_path):
    pytest.importorskip("trackio", reason="trackio is not installed")
    read = """
import json, trackio
from trackio.sqlite_storage import SQLiteStorage
(run,) = trackio.Api().runs("run")
print(json.dumps([run.name, SQLiteStorage.get_logs("run", run.name, run_id=run.id)], default=str))
"""
    for options in ((), ("--overwrite",)):  # a run that replaces another begins with empty curves
        rows = tracked("trackio", *options)
        environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "run" / "trackio")}
        done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        name, logs = json.loads(done.stdout.splitlines()[-1])
        assert name == "finetune"
        for curve, values in curves(rows).items():
            assert [entry[curve] for entry in logs if curve in entry] == pytest.approx(values)
        test = StageMetrics.read(tmp_path / "run" / "finetune" / "metrics.json").test
        assert [entry["final_test/accuracy"] for entry in logs if "final_test/accuracy" in entry] == [test.accuracy]
        assert any("figures/confusion_matrix" in entry for entry in logs)
        stored = [path.read_bytes() for path in (tmp_path / "run" / "trackio").rglob("*") if path.is_file()]
        assert (tmp_path / "run" / "finetune" / "report.html").read_bytes() in stored


@pytest.mark.slow
def test_mlflow_gets_curves_a_layer_group_metrics_figures_and_report(tracked, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    for options in ((), ("--overwrite",)):
        rows = tracked("mlflow", *options)
        client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'run' / 'mlflow' / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("run")
        (run,) = client.search_runs([experiment.experiment_id])
        assert (run.info.run_name, run.info.status) == ("finetune", "FINISHED")
        for curve, values in curves(rows).items():
            logged = client.get_metric_history(run.info.run_id, curve)
            assert [metric.value for metric in logged] == pytest.approx(values)
        test = StageMetrics.read(tmp_path / "run" / "finetune" / "metrics.json").test
        assert run.data.metrics["final_test/accuracy"] == test.accuracy
        assert float(run.data.params["num_train_epochs"]) == 2
        assert "report.html" in [item.path for item in client.list_artifacts(run.info.run_id)]
        figures = [item.path for item in client.list_artifacts(run.info.run_id, "figures")]
        assert "figures/confusion_matrix.png" in figures


@pytest.mark.slow
def test_wandb_gets_curves_a_layer_group_metrics_figures_and_report_offline(tracked, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    for options in ((), ("--overwrite",)):
        rows = tracked("wandb", *options)
        (path,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
        logged = wandb_files.history(path)
        for curve, values in curves(rows).items():
            assert [entry[curve] for entry in logged if curve in entry] == pytest.approx(values)
        test = StageMetrics.read(tmp_path / "run" / "finetune" / "metrics.json").test
        found = wandb_files.summary(path)
        assert found["final_test/accuracy"] == test.accuracy and found["headline"].startswith("finetune: ")
        media = path.parent / "files" / "media"
        assert list(media.glob("images/figures/confusion_matrix_*.png"))
        (report,) = media.glob("html/report_*.html")
        assert report.read_text() == (tmp_path / "run" / "finetune" / "report.html").read_text()


@pytest.mark.parametrize("tracker", ["trackio", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_refused_before_any_work(tracker, flags, command_line, tmp_path):
    missing = f"""
from hf_cifar.config import training_arguments
found = training_arguments.find_spec
training_arguments.find_spec = lambda name: None if name == {tracker!r} else found(name)
"""
    assert command_line.run("finetune", *flags, "--report-to", tracker, before=missing) == 2
    assert f"pip install {tracker}" in command_line.err and len(command_line.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()

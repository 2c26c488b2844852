"""What a person reads when a training is done, and that the report says the same."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.images import write_images

from hf_cifar.evaluation.comparison.mcnemar import mcnemar
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.verdicts import findings
from hf_cifar.utils import labelled_lines


@pytest.fixture(scope="module")
def finished(command_line, image_folder, tiny_model, tmp_path_factory):
    """A short lpft of a random network on the colours: its folder, output and lines."""
    run = tmp_path_factory.mktemp("closing") / "my run"
    options = ("--dataset", image_folder, "--model", tiny_model, "--output-dir", run, "--num-train-epochs", 1)
    rates = ("--learning-rates", "0.1,0.2,0.3", "--train-batch-size", 16, "--feature-cache", run.parent / "cache")
    assert command_line.run("lpft", *options, *rates) == 0, command_line.err
    return run, command_line.out, command_line.err.splitlines()


def test_the_end_says_in_five_lines_what_it_means_and_what_to_do_next(finished):
    run, out, lines = finished
    labels = [line.split()[0] for line in lines[-5:]]
    assert labels == ["result", "report", "try", "compare", "publish"]
    test = StageMetrics.read(run / "finetune" / "metrics.json").test
    assert f"{round(18 * test.accuracy)} of 18 test images are right" in lines[-5]
    assert "is right for 33.33%" in lines[-5]
    assert str(run / "finetune" / "report.html") in lines[-4]
    assert f"hf-cifar predict '{run}' IMAGE" in lines[-3], "a command that can be pasted"
    assert json.loads(out.splitlines()[-1])["stage"] == "lpft"
    assert "\x1b" not in "".join(lines) + out, "no colour where there is no terminal"


def test_terminal_and_report_say_each_finding_once(finished):
    run, _, lines = finished
    said = [line.removeprefix("warning: ") for line in lines if line.startswith("warning: only ")]
    probe = StageMetrics.read(run / "probe" / "metrics.json")
    found = [finding.text for finding in findings(probe)]
    assert len(found) >= 2, "6 validation and 18 test images are few"
    assert said == [text for text in found if text.startswith("only ")], "not again after fine-tuning"
    page = (run / "probe" / "report.html").read_text()
    for text in found:
        assert page.count(text.replace("'", "&#39;")) == 1


def test_the_heads_that_validation_cannot_tell_apart_are_counted(finished):
    run, _, _ = finished
    rows = list(csv.DictReader(io.StringIO((run / "probe" / "history.csv").read_text())))
    values = [float(rows[-1][f"validation_accuracy/{rate}"]) for rate in ("0.1", "0.2", "0.3")]
    chosen = StageMetrics.read(run / "probe" / "metrics.json").train.chosen
    assert (chosen.candidates, chosen.close) == (3, sum(round(6 * (max(values) - value)) <= 1 for value in values))


def test_fine_tuning_is_measured_against_its_probe_image_by_image(finished):
    run, _, lines = finished
    right = []
    for stage in ("finetune", "probe"):
        table = pq.read_table(run / stage / "predictions.parquet").to_pydict()
        right.append(np.array(table["label"]) == np.array(table["prediction"]))
    expected = mcnemar(*right)
    against = StageMetrics.read(run / "finetune" / "metrics.json").against_probe
    assert against.probe_accuracy == right[1].mean()
    assert against.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert against.difference_ci95 == expected.difference_ci95
    assert "against its probe" in lines[-5]
    assert StageMetrics.read(run / "probe" / "metrics.json").against_probe is None


def test_a_probe_elsewhere_is_compared_with_only_on_the_same_images(finished, command_line, tiny_model, tmp_path):
    run, _, _ = finished
    line = command_line.without_pictures()
    flags = ("--from", run, "--num-train-epochs", 1, "--max-eval-samples", 9, "--output-dir", tmp_path / "few")
    probe = ("--from", run / "probe", *flags[2:4], "--output-dir", tmp_path / "same")
    assert line.run("finetune", run_dataset(run), *probe) == 0, line.err
    assert StageMetrics.read(tmp_path / "same" / "finetune" / "metrics.json").against_probe is not None
    assert line.run("finetune", run_dataset(run), "--from", run / "probe", *flags[2:]) == 0, line.err
    assert StageMetrics.read(tmp_path / "few" / "finetune" / "metrics.json").against_probe is None


def run_dataset(run) -> str:
    """The dataset that a run was trained on."""
    import yaml

    return yaml.safe_load((run / "run.yaml").read_text())["data"]["dataset"]


def test_a_model_too_weak_to_doubt_lists_no_label(command_line, tiny_model, tmp_path):
    """Labels that say nothing about the images: whoever doubts them, doubts half of them."""
    write_images(tmp_path / "images" / "train", 20, seed=1)
    write_images(tmp_path / "images" / "test", 20, seed=2)
    for part in ("train", "test"):  # every class gets images of every colour
        files = sorted((tmp_path / "images" / part).rglob("*.png"))
        names = [file.read_bytes() for file in files]
        for position, file in enumerate(files):
            file.write_bytes(names[(position * 7) % len(files)])
    flags = ("--model", tiny_model, "--output-dir", tmp_path / "run", "--feature-cache", tmp_path / "cache")
    assert command_line.run("probe", tmp_path / "images", *flags, "--solver", "lbfgs") == 0, command_line.err
    metrics = StageMetrics.read(tmp_path / "run" / "probe" / "metrics.json")
    assert metrics.test.num_doubted > 12
    assert (tmp_path / "run" / "probe" / "label_errors.csv").read_text().count("\n") == 1, "its header alone"
    page = (tmp_path / "run" / "probe" / "report.html").read_text()
    assert "Suspected label errors" not in page
    why = f"he model contradicts {metrics.test.num_doubted} of 60 labels"
    assert why in page and why not in command_line.err, "for who reads the report"


def test_a_terminal_shows_colours_and_never_breaks_a_path(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    path = "/".join(["a folder"] * 40)
    labelled_lines.say_labelled([("try", path), ("compare", "[b]not markup[/b]")], "bold green")
    assert "\x1b[1;32mtry" in screen.getvalue()
    assert path in screen.getvalue()
    assert "[b]not markup[/b]" in screen.getvalue()

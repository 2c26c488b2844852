"""Comparison of runs: numbers against the runs' own files; runs that are not comparable are refused."""

import base64
import csv
import io
import json
import re
import shutil
from html import unescape
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.stats import binomtest
from support.compared_runs import change, change_predictions, make_compared_runs, make_evaluation
from support.legacy import legacy_metrics
from support.pages import Page, assert_accessible, assert_offline

from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison import cost
from hf_cifar.evaluation.comparison.compared_run import find_runs
from hf_cifar.run.resolve import request_for
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.stages.compare import compare, run_comparison
from hf_cifar.utils.formatting import interval, percent


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """Runs a (probe and fine-tuning) and b (a probe). Read them, do not change them."""
    return make_compared_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Times are not what is tested here."""
    monkeypatch.setattr(cost, "ROUNDS", 2)


@pytest.fixture
def copies(finished, tmp_path):
    """Runs that may be changed."""
    for name in ("a", "b"):
        shutil.copytree(finished / name, tmp_path / name, ignore=shutil.ignore_patterns("checkpoints"))
    return tmp_path


@pytest.fixture(scope="session")
def compared(finished, tmp_path_factory):
    """Fine-tuning and probe of a, and the probe of b, side by side."""
    return compare([str(finished / at) for at in ("a", "a/probe", "b")], tmp_path_factory.mktemp("compared") / "out")


def metrics_of(stage: Path) -> dict:
    return json.loads((stage / "metrics.json").read_text())


def test_rows_are_the_metrics_of_the_runs(compared, finished):
    names = ["a/finetune", "a/probe", "b/probe"]
    rows = compared.data["runs"]
    assert [row["name"] for row in rows] == names
    for row in rows:
        own = metrics_of(finished / row["name"])
        for name in ("accuracy", "accuracy_ci95", "f1_macro", "top5_accuracy", "ece", "ece_calibrated"):
            assert row[name] == own["test"][name]
        assert row["training_seconds"] == own["train"]["seconds"]
        assert row["peak_memory_mb"] == own["train"]["peak_memory_mb"]
        assert row["parameters"] == own["train"]["total_parameters"]
        assert (row["image_size"], row["mean_corruption_accuracy"]) == ([16, 16], None)
        assert row["gflops"] > 0 and row["latency_ms"] > 0 and row["images_per_second"] > 0
    assert compared.data["best"] == max(rows, key=lambda row: row["accuracy"])["name"]
    assert compared.data["dataset"]["num_test"] == 18


def test_every_pair_by_hand(compared, finished):
    right = {}
    for name in ("a/finetune", "a/probe", "b/probe"):
        table = pq.read_table(finished / name / "predictions.parquet").to_pydict()
        rows = zip(table["index"], table["label"], table["prediction"], strict=True)
        right[name] = {index for index, label, prediction in rows if label == prediction}
    pairs = compared.data["pairs"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == list(combinations(right, 2))
    p_values = []
    for pair in pairs:
        first, second = right[pair["first"]], right[pair["second"]]
        assert pair["only_first_right"] == len(first - second)
        assert pair["only_second_right"] == len(second - first)
        assert pair["difference"] == pytest.approx((len(first) - len(second)) / 18)
        apart = len(first ^ second)
        p_values.append(binomtest(len(first - second), apart).pvalue if apart else 1.0)
        assert pair["p_value"] == pytest.approx(p_values[-1])
    assert any(pair["only_first_right"] + pair["only_second_right"] for pair in pairs), "the runs must differ"
    assert min(pair["p_value_holm"] for pair in pairs) == pytest.approx(min(1, 3 * min(p_values)))


def test_what_is_written(compared):
    folder = compared.output_dir
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *("compare.html", "compare.md", "compare.json", "disagreements.csv", "figures/accuracy_against_cost.png")
    }
    assert json.loads((folder / "compare.json").read_text()) == compared.data
    text = (folder / "compare.md").read_text()
    assert text.startswith("# 3 runs on 18 test images of colours")
    assert f"{compared.data['best']} has the highest accuracy" in text and compared.data["verdict"] in text
    # Four tables, each with as many cells in every line.
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert [len(table.splitlines()) - 2 for table in tables] == [3, 3, len(compared.comparison.settings.rows), 3]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    row = compared.data["runs"][0]
    assert f"{percent(row['accuracy'])} ({interval(row['accuracy_ci95'])})" in tables[0]
    assert "corrupted images" not in tables[0], "a column that nothing fills"
    measured = compared.data["measurement"]
    assert f"measured on {measured['device']}" in text and f"medians of {measured['rounds']} rounds" in text
    assert re.search(r"!\[Accuracy against cost: .+\]\(figures/accuracy_against_cost\.png\)", text)
    assert not re.search(r"20\d\d-\d\d-\d\d", text), "the same comparison gives the same text, whenever it is made"
    with Image.open(compared.figure) as picture:
        assert picture.format == "PNG"


def test_summary_and_notebook(compared):
    summary = json.loads(json.dumps(compared.summary()))
    assert summary["stage"] == "compare" and summary["output_dir"] == str(compared.output_dir)
    assert summary["runs"] == {row["name"]: row["accuracy"] for row in compared.data["runs"]}
    assert summary["best"] == compared.data["best"]
    assert compared.status == 0
    html = compared._repr_html_()
    assert html.count("<table>") == 4 and compared.data["verdict"] in unescape(html)
    assert "data:image/png;base64," in html and 'alt="Accuracy against cost' in html
    for row in compared.data["runs"]:
        assert row["name"] in html


def test_of_a_configuration(finished, tmp_path, capsys):
    values = {"runs": [str(finished / "a"), str(finished / "b")], "use_cpu": True}
    result = run_comparison(request_for("compare", {**values, "output_dir": str(tmp_path / "out")}))
    assert result.output_dir == tmp_path / "out" and result.figure.is_file()
    screen = capsys.readouterr()
    assert "| a/finetune |" in screen.err and "medians of 2 rounds" in screen.err and screen.out == ""
    with pytest.raises(InputError, match="--resume does nothing with --stage compare"):
        request_for("compare", {**values, "resume": True})


def test_the_page(compared, finished):
    page = Page(compared.page.read_text())
    assert_offline(page)
    assert_accessible(page)
    data = compared.data
    assert page.text.index(data["verdict"]) < page.text.index("Test metrics")
    rows = page.table("Test metrics")
    assert [row[0] for row in rows[1:]] == [row["name"] for row in data["runs"]]
    assert rows[0][2] == "balanced accuracy" and rows[1][2] == percent(data["runs"][0]["balanced_accuracy"])
    tests = page.table("McNemar's test")
    assert [row[:2] for row in tests[1:]] == [[pair["first"], pair["second"]] for pair in data["pairs"]]
    assert tests[1][2:4] == [str(data["pairs"][0][f"only_{which}_right"]) for which in ("first", "second")]
    settings = {row[0]: row[1:] for row in page.table("Settings of training")[1:]}
    assert settings["stage"] == ["finetune", "probe", "probe"] and settings == {
        name: list(values.values()) for name, values in data["settings"].items()
    }
    answers = [pq.read_table(finished / row["name"] / "predictions.parquet").to_pydict() for row in data["runs"]]
    differing = [number for number in range(18) if len({one["prediction"][number] for one in answers}) > 1]
    assert f"{len(differing)} of 18 images get different answers" in page.text
    with (compared.output_dir / "disagreements.csv").open() as lines:
        assert sorted(int(row["index"]) for row in csv.DictReader(lines)) == differing
    # Their dataset is made up: the images are named, and not shown.
    assert all(f"test[{number}]: labelled" in page.text for number in differing)
    assert len(page.all("img")) == 1


def test_several_processes_are_refused(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    values = {"runs": [str(finished / "a"), str(finished / "b")], "output_dir": str(tmp_path / "o")}
    with pytest.raises(InputError, match="without torchrun"):
        run_comparison(request_for("compare", values))


def test_a_folder_in_use(compared, finished, tmp_path):
    runs = [str(finished / "a"), str(finished / "b")]
    out = tmp_path / "out"
    shutil.copytree(compared.output_dir, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is in use: --overwrite replaces"):
        compare(runs, out)
    assert len(compare(runs, out, overwrite=True).data["runs"]) == 2
    assert len(json.loads((out / "compare.json").read_text())["runs"]) == 2
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match="something other than a comparison"):
        compare(runs, finished / "a", overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        compare(runs, out / "notes.txt", overwrite=True)
    (tmp_path / "empty").mkdir()
    assert compare(runs, tmp_path / "empty").figure.is_file()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "needs at least two runs: --runs names 0"),
        (["a"], "needs at least two runs: --runs names 1"),
        (["a", "nowhere"], "nowhere: no such folder"),
        (["a", "."], "is not a run"),
        (["a", "a/probe/model"], "is not a run"),
        (["a", "b", "a/finetune"], "a/finetune: .*/a is the same stage"),
        (["b/../a", "a"], "is the same stage"),
    ],
)
def test_requests_that_make_no_sense(names, message, finished, tmp_path):
    with pytest.raises(InputError, match=message) as refused:
        compare([str(finished / name) for name in names], tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_an_evaluated_stage_beside_a_trained_one(copies, tmp_path):
    trained = StageFolder(copies / "a/finetune")
    own = make_evaluation(copies / "own", trained)
    result = compare([str(copies / "a"), str(own.path)], tmp_path / "out")
    first, second = result.data["runs"]
    assert second["name"] == "own/evaluate" and first["accuracy"] == second["accuracy"]
    for name in ("gflops", "training_seconds", "peak_memory_mb", "parameters"):
        assert second[name] == first[name], "it is the same model"
    assert result.data["pairs"][0]["p_value"] == 1.0
    assert "are right equally often" in (tmp_path / "out" / "compare.md").read_text()
    elsewhere = make_evaluation(copies / "elsewhere", trained, fingerprint="beef")
    with pytest.raises(InputError, match="a/finetune and elsewhere/evaluate were not tested on the same images"):
        find_runs([str(copies / "a"), str(elsewhere.path)])
    (copies / "a" / "splits.json").unlink()
    with pytest.raises(InputError, match=r"test images of a/finetune are unknown, since its run has no splits\.json"):
        find_runs([str(copies / "a"), str(own.path)])


def test_runs_of_older_versions_are_comparable(copies, tmp_path):
    """Their metrics.json has sentences for origins, and neither schema number nor second macro F1."""
    for name, stage in (("a/finetune", "finetune"), ("b/probe", "probe")):
        old, new = legacy_metrics(stage), metrics_of(copies / name)
        for split in ("test", "validation"):
            old[split] = {key: value for key, value in new[split].items() if key != "f1_macro_present"}
        for key in ("temperature", "ece_calibrated", "nll_calibrated", "reliability", "reliability_calibrated"):
            del old["test"][key]
        (copies / name / "metrics.json").write_text(json.dumps(old))
    result = compare([str(copies / "a"), str(copies / "b")], tmp_path / "out")
    for row, new in zip(result.data["runs"], ("a/finetune", "b/probe"), strict=True):
        assert row["accuracy"] == metrics_of(copies / new)["test"]["accuracy"]
        assert row["f1_macro_present"] == pytest.approx(row["f1_macro"])
        assert row["ece_calibrated"] is None
    assert "ECE calibrated" not in result.tables()[0].columns


def test_both_macro_f1_are_shown_where_they_differ(copies, tmp_path):
    runs = [str(copies / "a"), str(copies / "b")]
    assert not any("with images" in heading for heading in compare(runs, tmp_path / "one").tables()[0].columns)
    change(
        copies / "b/probe/metrics.json",
        lambda metrics: metrics["test"].update(f1_macro=0.19087, f1_macro_present=0.21205),
    )
    result = compare(runs, tmp_path / "two")
    table = result.tables()[0]
    index = list(table.columns).index("macro F1, classes with images")
    assert [table.rows[1][index - 1], table.rows[1][index]] == ["19.08%", "21.20%"]
    assert any("Macro F1 is scikit-learn's default" in note for note in result.comparison.notes)


def test_runs_of_the_stages_themselves(image_folder, tiny_model, tmp_path, no_pictures):
    from hf_cifar.stages.evaluate import run_evaluation
    from hf_cifar.stages.train import run_training

    for name, seed in (("one", 0), ("two", 1)):
        values = {
            "dataset": str(image_folder),
            "model": str(tiny_model),
            "feature_cache": str(tmp_path / "cache"),
            "output_dir": str(tmp_path / name),
            "num_train_epochs": 1,
            "train_batch_size": 16,
            "seed": seed,
            "learning_rate": 1e-5 if seed else 0.1,  # one that learns and one that does not: they disagree
        }
        run_training(request_for("probe", values))
    values = {"checkpoint": str(tmp_path / "one"), "output_dir": str(tmp_path / "again")}
    again = run_evaluation(request_for("evaluate", values)).folder.path
    result = compare([str(tmp_path / "one"), str(tmp_path / "two"), str(again)], tmp_path / "out")
    first, second, evaluated = result.data["runs"]
    assert result.data["settings"]["seed"] == {"one/probe": "0", "two/probe": "1", "again/evaluate": "0"}
    assert "output_dir" not in result.data["settings"]
    page = Page(result.page.read_text())
    with (tmp_path / "out" / "disagreements.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert rows, "the two seeds must disagree"
    shown = [image for image in page.all("img") if not image["alt"].startswith("Accuracy against cost")]
    assert len(shown) == min(len(rows), 60) and result.page.stat().st_size < 1_000_000
    for row in rows[:5]:
        assert (image_folder / row["file"]).is_file() and (image_folder / row["file"]).parent.name == row["label"]
        answers = f"labelled {row['label']}; one/probe says {row['one/probe']}, two/probe says {row['two/probe']}"
        assert any(image["alt"].startswith(f"{row['file']}: {answers}") for image in shown)
    # The picture is that of the file.
    source = next(image["src"] for image in shown if image["alt"].startswith(rows[0]["file"]))
    with Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))) as picture:
        assert np.array_equal(picture.convert("RGB"), Image.open(image_folder / rows[0]["file"]).convert("RGB"))
    assert first["accuracy"] == evaluated["accuracy"]
    assert first["training_seconds"] == evaluated["training_seconds"] != second["training_seconds"]


def test_a_folder_with_the_sign_that_divides_cells(copies, tmp_path):
    (copies / "a").rename(copies / "x|y")
    compare([str(copies / "x|y"), str(copies / "b")], tmp_path / "out")
    text = (tmp_path / "out" / "compare.md").read_text()
    for table in (block for block in text.split("\n\n") if block.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_robustness_where_it_was_measured(copies, tmp_path):
    def measured(value: float, seed: int):
        section = {
            "num_examples": 18,
            "clean_accuracy": 1.0,
            "mean_corruption_accuracy": value,
            "seed": seed,
            "corruptions": {"fog": [1.0]},
        }
        return lambda metrics: metrics.update(robustness=section)

    runs = [str(copies / "a"), str(copies / "b")]
    change(copies / "a/finetune/metrics.json", measured(0.4321, 0))
    result = compare(runs, tmp_path / "out")
    assert [row["mean_corruption_accuracy"] for row in result.data["runs"]] == [0.4321, None]
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "corrupted images" in text and "43.21%" in text and "Measured by a/finetune only." in text
    assert "not comparable with CIFAR-10-C" in text and "different corruptions" not in text
    change(copies / "b/probe/metrics.json", measured(0.5, 1))
    text = "".join(compare(runs, tmp_path / "out", overwrite=True).data["notes"])
    assert "Measured by" not in text and "different corruptions" in text


def test_a_model_that_cannot_be_loaded_has_no_cost(copies, tmp_path):
    runs = [str(copies / "a"), str(copies / "b")]
    shutil.rmtree(copies / "b/probe/model")
    result = compare(runs, tmp_path / "out")
    row = result.data["runs"][1]
    assert (row["gflops"], row["latency_ms"], row["image_size"]) == (None, None, None)
    assert row["parameters"] == metrics_of(copies / "b/probe")["train"]["total_parameters"]
    assert "The saved model of b/probe could not be loaded" in (tmp_path / "out" / "compare.md").read_text()
    assert result.figure.is_file()
    (copies / "a/finetune/model/config.json").write_text("{}")
    result = compare(runs, tmp_path / "out", overwrite=True)
    assert not result.figure.exists() and "<img" not in result._repr_html_()
    assert "](figures" not in (tmp_path / "out" / "compare.md").read_text()


def test_all_wrong_and_all_right(copies, tmp_path):
    change_predictions(copies / "a/finetune", prediction=lambda prediction: prediction * 0, label=lambda label: label)
    table = pq.read_table(copies / "a/finetune/predictions.parquet").to_pydict()
    change_predictions(copies / "a/finetune", prediction=lambda _: np.array(table["label"]))
    change_predictions(copies / "b/probe", prediction=lambda _: (np.array(table["label"]) + 1) % 3)
    for name, accuracy in (("a/finetune", 1.0), ("b/probe", 0.0)):
        change(copies / name / "metrics.json", lambda metrics, value=accuracy: metrics["test"].update(accuracy=value))
    result = compare([str(copies / "a"), str(copies / "b")], tmp_path / "out")
    assert result.data["pairs"][0]["p_value"] == pytest.approx(2 / 2**18)
    assert result.data["pairs"][0]["difference"] == 1.0
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "a/finetune is better than b/probe: 100.00% against 0.00% on 18 images, +100.00 points" in text
    assert "< 0.0001" in text

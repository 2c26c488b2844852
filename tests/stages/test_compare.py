"""Runs side by side: figures against the runs' own files, and what cannot be compared is refused."""

import json
import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.stats import binomtest
from support.images import write_images

from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison import cost
from hf_cifar.evaluation.comparison.compared_run import find_runs
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.compare import compare, run_comparison
from hf_cifar.stages.evaluate import run_evaluation
from hf_cifar.stages.train import run_training


@pytest.fixture(scope="session")
def finished(image_folder, tiny_model, tmp_path_factory) -> Path:
    """Two runs on the colours, a (lpft) and b (a probe with another seed). Read them, do not change them."""
    folder = tmp_path_factory.mktemp("runs")
    for name, values in (
        ("a", {"stage": "lpft", "learning_rate": 0.05}),
        ("b", {"learning_rates": [0.003], "seed": 1}),
    ):
        common = {
            "dataset": str(image_folder),
            "model": str(tiny_model),
            "feature_cache": str(folder / "cache"),
            "output_dir": str(folder / name),
            "num_train_epochs": 2,
            "train_batch_size": 16,
        }
        run_training(request_for(values.pop("stage", "probe"), values, common))
    return folder


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


def change(file: Path, edit) -> None:
    """Let `edit` change the content of a JSON file."""
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def change_predictions(stage: Path, **columns) -> None:
    file = stage / "predictions.parquet"
    table = pq.read_table(file).to_pydict()
    pq.write_table(pa.table({**table, **{name: edit(np.array(table[name])) for name, edit in columns.items()}}), file)


def test_rows_are_the_figures_of_the_runs(compared, finished):
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
    assert files == {"compare.md", "compare.json", "figures/accuracy_against_cost.png"}
    assert json.loads((folder / "compare.json").read_text()) == compared.data
    text = (folder / "compare.md").read_text()
    assert text.startswith("# 3 runs on 18 test images of colours")
    assert f"{compared.data['best']} has the highest accuracy" in text
    # Three tables, each with as many cells in every line.
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert [len(table.splitlines()) - 2 for table in tables] == [3, 3, 3]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    row = compared.data["runs"][0]
    assert f"{row['accuracy']:.2%} ({row['accuracy_ci95'][0]:.2%} to {row['accuracy_ci95'][1]:.2%})" in tables[0]
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
    assert html.count("<table>") == 3 and "data:image/png;base64," in html and 'alt="Accuracy against cost' in html
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
    with pytest.raises(InputError, match="something else than a comparison"):
        compare(runs, finished / "a", overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        compare(runs, out / "notes.txt", overwrite=True)
    (tmp_path / "empty").mkdir()
    assert compare(runs, tmp_path / "empty").figure.is_file()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "--runs names 0, give at least two"),
        (["a"], "--runs names 1, give at least two"),
        (["a", "nowhere"], "nowhere: no such folder"),
        (["a", "."], "holds no run"),
        (["a", "a/probe/model"], "holds no run"),
        (["a", "b", "a/finetune"], "a/finetune: .*/a names the same stage already"),
        (["b/../a", "a"], "names the same stage already"),
    ],
)
def test_requests_that_make_no_sense(names, message, finished, tmp_path):
    with pytest.raises(InputError, match=message) as refused:
        compare([str(finished / name) for name in names], tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_done(copies):
    (copies / "a" / "finetune" / "metrics.json").unlink()
    with pytest.raises(InputError, match=r"finetune is not done: finish it with --resume, or name .*/a/probe$"):
        find_runs([str(copies / "a"), str(copies / "b")])
    with pytest.raises(InputError, match=r"finetune is not done"):
        find_runs([str(copies / "a/finetune"), str(copies / "b")])
    assert [item.name for item in find_runs([str(copies / "a/probe"), str(copies / "b")])] == ["a/probe", "b/probe"]


def test_names_are_as_long_as_they_must_be(finished, copies):
    found = find_runs([str(finished / "a"), str(copies / "a"), str(copies / "b")])
    ends = [f"{folder.name}/{rest}" for folder, rest in ((finished, "a/finetune"), (copies, "a/finetune"))]
    assert [item.name for item in found] == [*ends, f"{copies.name}/b/probe"]


def test_files_that_cannot_be_read(copies):
    runs = [str(copies / "a"), str(copies / "b")]
    (copies / "b/probe/metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"b/probe cannot be read"):
        find_runs(runs)
    shutil.copy(copies / "a/probe/metrics.json", copies / "b/probe/metrics.json")
    (copies / "b/probe/predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"b/probe cannot be read"):
        find_runs(runs)
    (copies / "b/probe/predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"b/probe cannot be read"):
        find_runs(runs)


REFUSED = "a/finetune and b/probe were not tested on the same images: "


def test_the_same_rows_of_another_dataset_are_refused(copies):
    change(copies / "b/splits.json", lambda splits: splits["test"].update(fingerprint="other"))
    with pytest.raises(InputError, match=REFUSED + r"colours.* \(.+\) and colours.* \(other\) are called the same"):
        find_runs([str(copies / "a"), str(copies / "b")])
    change(copies / "b/probe/metrics.json", lambda metrics: metrics["dataset"].update(id="flowers"))
    with pytest.raises(InputError, match=REFUSED + r"the datasets are colours.* and flowers \(other\)"):
        find_runs([str(copies / "a"), str(copies / "b")])


def test_without_the_indices_of_the_splits_the_training_split_tells(copies):
    (copies / "b/splits.json").unlink()
    runs = [str(copies / "a"), str(copies / "b")]
    assert len(find_runs(runs)) == 2
    change(copies / "b/probe/metrics.json", lambda metrics: metrics["dataset"].update(fingerprint="other"))
    with pytest.raises(InputError, match=REFUSED):
        find_runs(runs)


def test_other_rows_are_refused(copies):
    change_predictions(copies / "b/probe", index=lambda index: index + 5)
    with pytest.raises(InputError, match=REFUSED + r"18 and 18 images, 13 of them in both"):
        find_runs([str(copies / "a"), str(copies / "b")])


def test_other_labels_are_refused(copies):
    change_predictions(copies / "b/probe", label=lambda label: np.where(np.arange(18) == 4, (label + 1) % 3, label))
    with pytest.raises(
        InputError, match=REFUSED + r"1 of 18 images have other labels, such as image 4, which is \w+ in"
    ):
        find_runs([str(copies / "a"), str(copies / "b")])


def renamed(names: list[str]):
    def edit(metrics: dict) -> None:
        old = metrics["test"]["per_class"]
        metrics["test"]["per_class"] = dict(zip(names, old.values(), strict=True))

    return edit


def test_classes_in_another_order_are_matched_by_name(copies, compared):
    change(copies / "b/probe/metrics.json", renamed(["Red", "blue", "green"]))
    with pytest.raises(InputError, match=REFUSED + "18 of 18 images have other labels"):
        find_runs([str(copies / "a"), str(copies / "b")])
    # blue, green, red by their new numbers; and the images in another order.
    numbers = np.array([1, 2, 0])
    turned = {name: lambda column: numbers[column][::-1] for name in ("label", "prediction")}
    change_predictions(copies / "b/probe", index=lambda index: index[::-1], **turned)
    one, other = find_runs([str(copies / "a"), str(copies / "b")])
    pair = next(pair for pair in compared.data["pairs"] if (pair["first"], pair["second"]) == ("a/finetune", "b/probe"))
    assert int((one.correct & ~other.correct).sum()) == pair["only_first_right"]
    assert int((other.correct & ~one.correct).sum()) == pair["only_second_right"]


def test_an_evaluated_stage_beside_a_trained_one(copies, image_folder, tmp_path):
    def evaluated(name: str, **options) -> str:
        values = {"checkpoint": str(copies / "a"), "output_dir": str(copies / name), **options}
        return str(run_evaluation(request_for("evaluate", values)).folder.path)

    result = compare([str(copies / "a"), evaluated("own")], tmp_path / "out")
    first, second = result.data["runs"]
    assert second["name"] == "own/evaluate" and first["accuracy"] == second["accuracy"]
    for name in ("gflops", "training_seconds", "peak_memory_mb", "parameters"):
        assert second[name] == first[name], "it is the same model"
    assert result.data["pairs"][0]["p_value"] == 1.0
    assert "may be chance" in (tmp_path / "out" / "compare.md").read_text()
    # Other images with the same names of files and the same labels.
    write_images(copies / "colours" / "train", 20, seed=1)
    write_images(copies / "colours" / "test", 6, seed=9)
    elsewhere = evaluated("elsewhere", dataset=str(copies / "colours"))
    with pytest.raises(InputError, match="a/finetune and elsewhere/evaluate were not tested on the same images"):
        find_runs([str(copies / "a"), elsewhere])
    with pytest.raises(InputError, match="not tested on the same images"):
        find_runs([str(copies / "a"), evaluated("validation", split="validation")])
    (copies / "a" / "splits.json").unlink()
    with pytest.raises(InputError, match=r"nothing says which those of a/finetune are, as its run has no splits\.json"):
        find_runs([str(copies / "a"), str(copies / "own/evaluate")])


def test_what_older_runs_do_not_say_is_blank(copies, tmp_path):
    def edit(metrics: dict) -> None:
        for name in ("temperature", "ece_calibrated", "nll_calibrated", "reliability", "top5_accuracy"):
            del metrics["test"][name]
        del metrics["train"]["peak_memory_mb"]
        del metrics["train"]["total_parameters"]

    change(copies / "a/finetune/metrics.json", lambda metrics: metrics["test"].update(ece_calibrated=0.0123))
    change(copies / "b/probe/metrics.json", edit)
    result = compare([str(copies / "a"), str(copies / "b")], tmp_path / "out")
    row = result.data["runs"][1]
    assert (row["ece_calibrated"], row["top5_accuracy"], row["peak_memory_mb"]) == (None, None, None)
    assert row["parameters"] == result.data["runs"][0]["parameters"]
    quality, costs, _ = (table.markdown().splitlines()[-1] for table in result.tables())
    assert "ECE calibrated" in result.tables()[0].columns
    assert quality.count("—") == 2 and costs.count("—") == 1


def test_a_folder_with_the_sign_that_divides_cells(copies, tmp_path):
    (copies / "a").rename(copies / "x|y")
    compare([str(copies / "x|y"), str(copies / "b")], tmp_path / "out")
    text = (tmp_path / "out" / "compare.md").read_text()
    for table in (block for block in text.split("\n\n") if block.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_robustness_where_it_was_measured(copies, tmp_path):
    def measured(value: float, seed: int):
        section = {"num_examples": 18, "mean_corruption_accuracy": value, "seed": seed, "corruptions": {"fog": [1.0]}}
        return lambda metrics: metrics.update(robustness=section)

    runs = [str(copies / "a"), str(copies / "b")]
    change(copies / "a/finetune/metrics.json", measured(0.4321, 0))
    result = compare(runs, tmp_path / "out")
    assert [row["mean_corruption_accuracy"] for row in result.data["runs"]] == [0.4321, None]
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "corrupted images" in text and "43.21%" in text and "Only a/finetune measured it." in text
    assert "not comparable with CIFAR-10-C" in text and "not given the same corruptions" not in text
    change(copies / "b/probe/metrics.json", measured(0.5, 1))
    text = "".join(compare(runs, tmp_path / "out", overwrite=True).data["notes"])
    assert "measured it" not in text and "not given the same corruptions" in text


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
    assert "a/finetune has the highest accuracy, 100.00%, ahead of each other run by more than chance" in text
    assert "< 0.0001" in text

"""The Python interface, against the same stages by the command line."""

import inspect
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import pipeline

from hf_cifar import Experiment, InputError
from hf_cifar.run import resolve, trained_request

TRAINING = ("--num-train-epochs", 2, "--train-batch-size", 16, "--learning-rate", 0.01)


@pytest.fixture
def options(image_folder, tiny_model, tmp_path):
    return {
        "dataset": image_folder,
        "model": tiny_model,
        "feature_cache": tmp_path / "cache",
        "train_batch_size": 16,
        "num_train_epochs": 2,
    }


def test_a_chain_of_steps_is_what_the_command_line_does(options, command_line, tmp_path, no_pictures):
    command_line = command_line.without_pictures()
    step = Experiment(**options, output_dir=tmp_path / "a").probe().finetune(learning_rate=0.01)
    arguments = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
    arguments += ["--output-dir", tmp_path / "b"]
    assert command_line.run("--stage", "probe", *arguments) == 0
    assert command_line.run("--stage", "finetune", "--output-dir", tmp_path / "b", *TRAINING) == 0
    ours, theirs = (load_file(tmp_path / name / "finetune/model/model.safetensors") for name in ("a", "b"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    evaluated = step.evaluate()
    assert evaluated.result.folder.path == tmp_path / "a" / "evaluate"
    assert evaluated.metrics["test"]["confusion_matrix"] == step.metrics["test"]["confusion_matrix"]
    assert command_line.run("--stage", "evaluate", "--output-dir", tmp_path / "b") == 0
    summary = json.loads(command_line.out.splitlines()[-1])
    assert summary["accuracy"] == evaluated.metrics["test"]["accuracy"] and summary["stage"] == "evaluate"


def test_a_step_has_its_metrics_pictures_report_and_model(options, image_folder, tmp_path):
    step = Experiment(**options, output_dir=tmp_path / "a").probe()
    assert step.metrics["test"]["num_examples"] == 18
    assert step.report.is_file()
    assert {"confusion_matrix", "reliability", "learning_curves"} <= set(step.figures)
    assert all(min(image.size) > 100 for image in step.figures.values())
    image = next((image_folder / "test").rglob("*.png"))
    assert step.pipeline()(str(image)) == pipeline("image-classification", str(step.model_dir))(str(image))
    assert step.model is step.model and not step.model.training
    page = step._repr_html_()
    assert "95% CI" in page and page.count("data:image/png;base64,") == 3, "the others are in the report"
    worst = (step.result.folder.mistakes).read_text().splitlines()[1].split(",")
    assert worst[-1] in page and "Worst mistakes" in page and str(step.report) in page
    accuracy = f"{int(step.metrics['test']['accuracy'] * 10_000) / 100:.2f}%"
    assert accuracy in step.experiment._repr_html_() and f"probe {accuracy}" in repr(step.experiment)
    images = sorted((image_folder / "test").rglob("*.png"))[:3]
    expected = pipeline("image-classification", model=str(step.model_dir), top_k=2)([str(path) for path in images])
    for ours, theirs in zip(step.predict(images, top_k=2), expected, strict=True):
        assert [item["label"] for item in ours] == [item["label"] for item in theirs]
        assert [item["score"] for item in ours] == pytest.approx([item["score"] for item in theirs], abs=1e-5)


def test_signatures_show_the_options_of_a_stage():
    shown = {
        name: inspect.signature(getattr(Experiment, name)).parameters for name in ("probe", "finetune", "evaluate")
    }
    assert shown["probe"]["solver"].default == "trainer" and shown["probe"]["solver"].annotation is str
    assert "mixup" in shown["finetune"] and "mixup" not in shown["probe"] and "from_" not in shown["probe"]
    assert "split" in shown["evaluate"] and "model" not in shown["evaluate"]
    assert {"model", "mixup", "top_k", "output_dir"} <= set(inspect.signature(Experiment).parameters)


def test_lpft_in_one_call(options, tmp_path, no_pictures):
    step = Experiment(**options, output_dir=tmp_path / "a").lpft()
    assert step.result.summary()["stage"] == "lpft" and (tmp_path / "a" / "probe" / "metrics.json").is_file()


def test_a_wrong_option_is_refused_when_the_experiment_is_made():
    with pytest.raises(InputError, match="learning_rat"):
        Experiment(learning_rat=1)
    with pytest.raises(InputError, match="--learning-rate does nothing with --stage compare"):
        Experiment().request("compare", learning_rate=1)
    assert Experiment(learning_rate=1).request("compare").config.stage == "compare", "it is for the stages that train"


def test_every_public_name_is_there():
    from types import ModuleType

    import hf_cifar.stages.train

    found = {name: getattr(hf_cifar, name) for name in hf_cifar.__all__}
    assert not [name for name, value in found.items() if value is None or isinstance(value, ModuleType)]


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ({"stage": "probe"}, "runs/resnet18-cifar10"),
        ({"stage": "compare", "runs": ["a", "b"]}, "runs/compare"),
        ({"stage": "evaluate", "checkpoint": "runs/a/finetune/model", "dataset": "x/photos"}, "runs/a-photos"),
        ({"stage": "evaluate", "checkpoint": "user/name@v1"}, "runs/name-cifar10"),
    ],
)
def test_where_a_run_goes_by_default(options, folder, monkeypatch):
    for name in ("locate_checkpoint", "locate_dataset"):
        monkeypatch.setattr(trained_request, name, lambda name: None)
    assert str(resolve.request_for(options.pop("stage"), options).folder) == folder


def test_an_evaluation_takes_over_what_its_run_says_of_data(options, tmp_path, no_pictures):
    Experiment(**options, output_dir=tmp_path / "a", seed=3, max_eval_samples=4).probe()
    for checkpoint in ("a", "a/probe", "a/probe/model"):
        config = resolve.request_for("evaluate", {"checkpoint": str(tmp_path / checkpoint)}).config
        assert (config.seed, config.data.max_eval_samples, config.data.dataset) == (3, 4, str(options["dataset"]))
        assert config.folder == tmp_path / "a"
    other = resolve.request_for("evaluate", {"checkpoint": str(tmp_path / "a"), "dataset": "digits"}).config
    assert (other.seed, other.data.max_eval_samples) == (0, None) and str(other.folder) == "runs/a-digits"

"""What the check of an exported folder finds."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from support.models import processor, tiny_resnet

from hf_cifar.errors import HubError
from hf_cifar.hub.check import check_files, check_predictions
from hf_cifar.hub.examples import read_examples
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification
from hf_cifar.run.stage_folder import StageFolder


def relabel(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["id2label"] = {number: f"LABEL_{number}" for number in values["id2label"]}
    (folder / "config.json").write_text(json.dumps(values))


def put(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def add(name: str, key: str, value: object):
    return lambda folder: (folder / name).write_text(
        json.dumps({**json.loads((folder / name).read_text()), key: value})
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (relabel, "no label names"),
        (add("config.json", "label2id", {"red": 1, "green": 0, "blue": 2}), "disagree"),
        (add("config.json", "auto_map", {"AutoModel": "x.Y"}), "trust_remote_code"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json is missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (put("config.json", "{"), "config.json is not valid JSON"),
        (put("pytorch_model.bin", ""), "pytorch_model.bin is not allowed"),
        (put("modeling.py", ""), "modeling.py is not allowed"),
        (put("README.md", "---\nlicense: [\n---\n"), "README.md is not a valid card"),
        (put("README.md", "---\nlibrary_name: transformers\n---\n"), "no pipeline_tag"),
        (
            put("README.md", "---\nlibrary_name: a\npipeline_tag: b\nmodel-index: 3\n---\n"),
            "README.md is not a valid card",
        ),
        (
            put("README.md", "---\nlibrary_name: a\npipeline_tag: b\n---\n![x](figures/none.png)\n"),
            "shows figures/none.png, which is missing",
        ),
        (put("notes.txt", f"see {Path.home()}/data"), "notes.txt contains a local path"),
        (put("notes.txt", "login: hf_" + "a1B2" * 9), "looks like a Hub token"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be(damage, message, stage):
    folder = stage / "export"
    check_files(folder, stage.parent)
    damage(folder)
    with pytest.raises(HubError, match=message):
        check_files(folder, stage.parent)


def test_another_processor_is_found_out_by_the_scores(stage):
    """In another process, which cannot import this package."""
    folder = shutil.copytree(stage / "model", stage / "by-hand")
    kept = read_examples(StageFolder(stage))
    examples = {stage / "examples" / row.file: {item.label: item.score for item in row.output} for row in kept}
    assert len(examples) == 3
    add("preprocessor_config.json", "image_mean", [0.1, 0.2, 0.3])(folder)
    with pytest.raises(HubError, match="not the one that was measured"):
        check_predictions(folder, examples, stage / "model")


@pytest.mark.slow
def test_a_model_without_examples_is_compared_on_noise(tmp_path):
    model = tiny_resnet(3)
    model.config.id2label, model.config.label2id = {0: "a", 1: "b", 2: "c"}, {"a": 0, "b": 1, "c": 2}
    for name, scale in (("one", 1.0), ("other", 1.01)):
        with torch.no_grad():
            model.classifier[1].weight.mul_(scale)
        model.save_pretrained(tmp_path / name)
        processor(16).save_pretrained(tmp_path / name)
    with pytest.raises(HubError, match=r"noise-0\.png"):
        check_predictions(tmp_path / "one", {}, tmp_path / "other")


def test_a_model_that_needs_this_package_is_found_out(tmp_path):
    labels = {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}}
    TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch="resnet18", **labels)).save_pretrained(
        tmp_path
    )
    processor(16).save_pretrained(tmp_path)
    with pytest.raises(HubError, match="does not open without hf_cifar"):
        check_predictions(tmp_path, {tmp_path / "none.png": {}}, tmp_path)

"""The exported folder: what is in it, what is refused, and that it opens where this package is not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from support.models import processor, tiny_resnet

from hf_cifar.config.parts import HubConfig
from hf_cifar.config.run_config import RunConfig, nested
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub import check
from hf_cifar.hub.local_paths import local_paths, without_paths
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification
from hf_cifar.stages import export


@pytest.fixture
def as_if_opened(monkeypatch):
    """Leave out the process that opens the folder."""
    opened = []
    monkeypatch.setattr(export, "check_answers", lambda *arguments: opened.append(arguments) or 0.0)
    return opened


def config(**values) -> RunConfig:
    return RunConfig.build(nested({"stage": "export", **values}))


def exported(stage: Path, **hub) -> Path:
    return export.export(export.trained_stage(stage), HubConfig(**hub)).export_dir


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_all_that_the_hub_needs_and_no_path_of_this_machine(as_if_opened, stage, trained):
    (stage / "model" / "training_args.bin").write_bytes(b"")
    result = export.run_export(config(output_dir=str(stage.parent)))
    folder = stage / "export"
    assert result.export_dir == folder and set(result.files) == names(folder)
    assert result.summary()["bytes"] == sum((folder / name).stat().st_size for name in result.files)
    needed = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md", "metrics.json", "run.yaml"}
    assert needed <= names(folder) and "training_args.bin" not in names(folder)
    assert {name for name in names(folder) if name.startswith("examples/")} == {
        f"examples/{path.name}" for path in (stage / "examples").glob("*.png")
    }
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        assert (folder / name).read_bytes() == (stage / "model" / name).read_bytes()
    run, metrics = yaml.safe_load((folder / "run.yaml").read_text()), json.loads((folder / "metrics.json").read_text())
    assert "output_dir" not in run and run["data"]["dataset"] == "colours" and run["model"]["model"] == "tiny"
    assert metrics["test"] == json.loads((stage / "metrics.json").read_text())["test"]
    for name in names(folder):
        content = (folder / name).read_bytes()
        assert str(trained.parent).encode() not in content and str(stage.parent).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "transformers" and card.data.eval_results
    assert not list(stage.glob(".export*")), "nothing is left beside it"


def test_the_same_run_gives_the_same_bytes(as_if_opened, stage):
    before = {name: (exported(stage) / name).read_bytes() for name in names(exported(stage))}
    assert before == {name: (exported(stage) / name).read_bytes() for name in names(exported(stage))}


def test_what_it_is_made_from(as_if_opened, stage, tmp_path):
    run = stage.parent
    for name, made in ((run, stage), (stage, stage), (stage / "model", stage), (run / "probe", run / "probe")):
        assert export.find_trained(config(checkpoint=str(name))).export == made / "export"
    plain = shutil.copytree(exported(stage), tmp_path / "plain")
    found = export.find_trained(config(checkpoint=str(plain), output_dir=str(tmp_path / "out")))
    assert found.stage is None and found.export == tmp_path / "out" / "export"
    assert names(export.export(found, HubConfig()).export_dir) == names(plain)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder"),
        ("user/model", "what is on the Hub already needs no export"),
        ("empty", "holds no saved model"),
        ("bare", "holds no README.md"),
        ("half", "is not done"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(name, message, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    shutil.copytree(stage / "model", "bare")
    shutil.copytree(stage, "half")
    Path("half/metrics.json").unlink()
    with pytest.raises(InputError, match=message):
        export.run_export(config(checkpoint=name))


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
        (add("config.json", "label2id", {"red": 1, "green": 0, "blue": 2}), "do not say the same"),
        (add("config.json", "auto_map", {"AutoModel": "x.Y"}), "trust_remote_code"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json is missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (put("config.json", "{"), "config.json is no JSON"),
        (put("pytorch_model.bin", ""), "pytorch_model.bin does not belong there"),
        (put("modeling.py", ""), "modeling.py does not belong there"),
        (put("README.md", "---\nlicense: [\n---\n"), "README.md is no valid card"),
        (put("README.md", "---\nlibrary_name: transformers\n---\n"), "no pipeline_tag"),
        (
            put("README.md", "---\nlibrary_name: a\npipeline_tag: b\nmodel-index: 3\n---\n"),
            "README.md is no valid card",
        ),
        (
            put("README.md", "---\nlibrary_name: a\npipeline_tag: b\n---\n![x](figures/none.png)\n"),
            "shows figures/none.png, which is not there",
        ),
        (put("notes.txt", f"see {Path.home()}/data"), "notes.txt tells a path of this machine"),
        (put("notes.txt", "login: hf_" + "a1B2" * 9), "looks like a token"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be(damage, message, as_if_opened, stage):
    folder = exported(stage)
    check.check_files(folder, stage.parent)
    damage(folder)
    with pytest.raises(HubError, match=message):
        check.check_files(folder, stage.parent)


def test_a_folder_that_failed_its_check_is_not_left_behind(as_if_opened, stage, line):
    whole = exported(stage)
    before = {name: (whole / name).read_bytes() for name in names(whole)}
    relabel(stage / "model")
    done = line("--stage", "export", "--checkpoint", stage)
    assert done.status == 1 and "did not pass its check: config.json has no label names" in done.error
    assert {name: (whole / name).read_bytes() for name in names(whole)} == before, "the older one stays"
    shutil.rmtree(whole)
    assert line("--stage", "export", "--checkpoint", stage).status == 1
    assert not whole.exists() and not list(stage.glob(".export*"))


def test_the_check_of_the_same_files_is_not_repeated_by_a_push(as_if_opened, stage):
    trained = export.trained_stage(stage)
    export.export(trained, HubConfig(), trust_earlier_check=True)
    assert as_if_opened == [], "the fixture has checked it"
    weights = load_file(stage / "model" / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, stage / "model" / "model.safetensors")
    export.export(trained, HubConfig(), trust_earlier_check=True)
    assert len(as_if_opened) == 1
    export.export(trained, HubConfig())
    assert len(as_if_opened) == 2


def test_another_processor_is_found_out_by_the_scores(stage):
    """In another process, which cannot import this package."""
    folder = shutil.copytree(stage / "model", stage / "by-hand")
    examples = export._examples(export.trained_stage(stage))
    assert len(examples) == 3
    add("preprocessor_config.json", "image_mean", [0.1, 0.2, 0.3])(folder)
    with pytest.raises(HubError, match="not the one that was measured"):
        check.check_answers(folder, examples, stage / "model")


def test_a_model_without_examples_is_compared_on_noise(tmp_path):
    model = tiny_resnet(3)
    model.config.id2label, model.config.label2id = {0: "a", 1: "b", 2: "c"}, {"a": 0, "b": 1, "c": 2}
    for name, scale in (("one", 1.0), ("other", 1.01)):
        with torch.no_grad():
            model.classifier[1].weight.mul_(scale)
        model.save_pretrained(tmp_path / name)
        processor(16).save_pretrained(tmp_path / name)
    with pytest.raises(HubError, match=r"noise-0\.png"):
        check.check_answers(tmp_path / "one", {}, tmp_path / "other")


def test_a_model_that_needs_this_package_is_found_out(tmp_path):
    labels = {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}}
    TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch="resnet18", **labels)).save_pretrained(
        tmp_path
    )
    processor(16).save_pretrained(tmp_path)
    with pytest.raises(HubError, match="does not open without hf_cifar"):
        check.check_answers(tmp_path, {tmp_path / "none.png": {}}, tmp_path)


def test_what_a_person_added_to_the_folder_stays(as_if_opened, stage):
    folder = exported(stage)
    (folder / "LICENSE").write_text("mine")
    (folder / "README.md").write_text((folder / "README.md").read_text() + "\nMine too.\n")
    exported(stage, license="mit")
    text = (folder / "README.md").read_text()
    assert (folder / "LICENSE").read_text() == "mine" and text.endswith("\nMine too.\n")
    assert ModelCard(text).data.license == "mit"
    shutil.rmtree(stage / "figures")
    exported(stage)
    assert not list(folder.glob("figures/*")), "what the package put there goes"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("this run's probe (/home/me/runs/a/probe/model)", "this run's probe (a/probe/model)"),
        ("weights from ~/models/net.pth", "weights from net.pth"),
        ("../shared/data/cifar10-jpeg", "cifar10-jpeg"),
        (r"C:\data\flowers", "flowers"),
        ("google/vit-base-patch16-224", "google/vit-base-patch16-224"),
        ("https://huggingface.co/a/b", "https://huggingface.co/a/b"),
        ("3/4 of the images, images/s", "3/4 of the images, images/s"),
        ("digits (scikit-learn)", "digits (scikit-learn)"),
    ],
)
def test_paths_are_reduced_to_names(text, cleaned):
    assert without_paths({"a": [text], "output_dir": text}, Path("/home/me/runs/a")) == {"a": [cleaned]}


def test_a_path_in_a_text_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_paths(f"see {tmp_path}/x", None) == [str(tmp_path)]
    assert local_paths(f"see {tmp_path}extra and x{tmp_path}", None) == []

"""`--stage export`: the content of the exported folder, and requests that are refused."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from hf_cifar.config.options.hub import HubConfig
from hf_cifar.errors import InputError
from hf_cifar.hub import export as hub_export
from hf_cifar.run.request import Request
from hf_cifar.run.resolve import request_for
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.stages.export import find_trained, run_export


@pytest.fixture
def as_if_opened(monkeypatch):
    """Leave out the process that opens the folder."""
    opened = []
    monkeypatch.setattr(hub_export, "check_predictions", lambda *arguments: opened.append(arguments) or 0.0)
    return opened


def config(**values) -> Request:
    return request_for("export", values)


def exported(stage: Path, **hub) -> Path:
    return hub_export.export(hub_export.trained_stage(stage), HubConfig(**hub)).export_dir


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_all_that_the_hub_needs_and_no_path_of_this_machine(as_if_opened, stage, trained):
    (stage / "model" / "training_args.bin").write_bytes(b"")
    result = run_export(config(output_dir=str(stage.parent)))
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
    run = yaml.safe_load((folder / "run.yaml").read_text())
    assert "output_dir" not in run and run["data"]["dataset"] == "colours" and run["model"]["model"] == "tiny"
    measured, exported_metrics = (StageMetrics.read(place / "metrics.json") for place in (stage, folder))
    assert exported_metrics.test == measured.test
    for name in names(folder):
        content = (folder / name).read_bytes()
        assert str(trained.parent).encode() not in content and str(stage.parent).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict()["library_name"] == "transformers" and card.data.eval_results
    assert not list(stage.glob(".export*")), "nothing is left beside it"


def test_the_same_run_gives_the_same_bytes(as_if_opened, stage):
    before = {name: (exported(stage) / name).read_bytes() for name in names(exported(stage))}
    assert before == {name: (exported(stage) / name).read_bytes() for name in names(exported(stage))}


def test_what_it_is_made_from(as_if_opened, stage, tmp_path):
    run = stage.parent
    for name, made in ((run, stage), (stage, stage), (stage / "model", stage), (run / "probe", run / "probe")):
        assert find_trained(config(checkpoint=str(name))).export == made / "export"
    plain = shutil.copytree(exported(stage), tmp_path / "plain")
    found = find_trained(config(checkpoint=str(plain), output_dir=str(tmp_path / "out")))
    assert found.stage is None and found.export == tmp_path / "out" / "export"
    assert names(hub_export.export(found, HubConfig()).export_dir) == names(plain)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder"),
        ("user/model", "that is on the Hub already needs no export"),
        ("empty", "holds no saved model"),
        ("bare", "has no README.md"),
        ("half", "is not finished"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(name, message, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    shutil.copytree(stage / "model", "bare")
    shutil.copytree(stage, "half")
    Path("half/metrics.json").unlink()
    with pytest.raises(InputError, match=message):
        run_export(config(checkpoint=name))


def relabel(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["id2label"] = {number: f"LABEL_{number}" for number in values["id2label"]}
    (folder / "config.json").write_text(json.dumps(values))


def test_a_folder_that_failed_its_check_is_not_left_behind(as_if_opened, stage, line):
    whole = exported(stage)
    before = {name: (whole / name).read_bytes() for name in names(whole)}
    relabel(stage / "model")
    done = line("--stage", "export", "--checkpoint", stage)
    assert done.status == 2 and "is damaged (model/config.json has another size)" in done.error
    StageFolder(stage).seal_model()
    done = line("--stage", "export", "--checkpoint", stage)
    assert done.status == 1 and "failed its check: config.json has no label names" in done.error
    assert {name: (whole / name).read_bytes() for name in names(whole)} == before, "the older one stays"
    shutil.rmtree(whole)
    assert line("--stage", "export", "--checkpoint", stage).status == 1
    assert not whole.exists() and not list(stage.glob(".export*"))


def test_the_check_of_the_same_files_is_not_repeated_by_a_push(as_if_opened, stage):
    trained = hub_export.trained_stage(stage)
    hub_export.export(trained, HubConfig(), trust_earlier_check=True)
    assert as_if_opened == [], "the fixture has checked it"
    weights = load_file(stage / "model" / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, stage / "model" / "model.safetensors")
    hub_export.export(trained, HubConfig(), trust_earlier_check=True)
    assert len(as_if_opened) == 1
    hub_export.export(trained, HubConfig())
    assert len(as_if_opened) == 2


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
    left = [file.name for file in folder.glob("figures/*") if not file.name.startswith("example_")]
    assert left == [], "what the package put there goes"


def test_several_processes_are_refused(stage, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="--stage export runs in one process: start it without torchrun"):
        run_export(config(checkpoint=str(stage)))

"""The command that repeats a run."""

import re
import subprocess

import pytest
from support.made_run import from_file, from_hub, make_run

from hf_cifar.cli import parse
from hf_cifar.config.run_config import RunConfig
from hf_cifar.hub.card.card import render_card
from hf_cifar.hub.card.command import is_secret

SHELL = "hf-cifar() { printf '%s\\n' \"$@\"; }\n"


def arguments(card: str) -> list[list[str]]:
    """The arguments of the card's commands, as a shell hands them over."""
    commands = re.findall(r"```bash\n(.*?)```", card, flags=re.S)
    runs = [subprocess.run(["bash", "-c", SHELL + command], capture_output=True, text=True) for command in commands]
    assert not any(run.returncode for run in runs)
    return [run.stdout.splitlines() for run in runs]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"recipe": "classic", "seed": 3, "image_size": 64, "max_train_samples": 100},
        {"recipe": "demo", "dataset": "digits", "model": "resnet18-mini", "augment": "rand", "mixup": 0.2},
        {"stages": ("probe",), "learning_rates": [0.1, 1e-5], "features": "online", "label_column": "it's a | label"},
        {"stages": ("finetune",), "unfreeze": "stages.3,stages.2", "head_lr": 0.5, "bf16": True, "seed": 1},
        {"learning_rate": 0.01, "warmup_steps": 100, "use_cpu": True, "weight_decay": 1e-5},
        {"gradient_checkpointing": True, "skip_corrupt": True, "interpolate": "auto", "ema": 0.99},
    ],
)
def test_the_command_asks_for_the_same_run(tmp_path, given):
    dataset = "digits (scikit-learn)" if given.get("dataset") == "digits" else "uoft-cs/cifar10"
    run = make_run(tmp_path / "run", dataset_id=dataset, revision=None, **given)
    stage = given.get("stages", ("probe", "finetune"))[-1]
    first, _ = arguments(render_card(run / stage))
    asked, was = parse(first).config.to_dict(), RunConfig.read(run / "run.yaml").to_dict()
    assert asked.pop("output_dir") == "runs/run"
    was.pop("output_dir")
    assert asked == was


def test_the_command_says_no_more_than_it_must(tmp_path):
    run = make_run(tmp_path / "run", revision=None, use_cpu=True, momentum=0.8)
    first, _ = arguments(render_card(run / "finetune"))
    places = ["--stage", "lpft", "--recipe", "resnet", "--dataset", "cifar10", "--model", "resnet18"]
    assert first == [*places, "--momentum", "0.8", "--use-cpu", "True", "--output-dir", "runs/run"]


def test_the_command_pins_the_data_and_the_file_repeats_it(tmp_path):
    run = make_run(tmp_path / "run", dataset_revision="main", base_model="me/base", weights_origin=from_hub("me/base"))
    first, second = arguments(render_card(run / "finetune"))
    assert first[first.index("--dataset-revision") + 1] == "0b2714987fa478483af9968de7c934580d0bb9a2"
    assert second == ["--config", "run.yaml", "--output-dir", "runs/again"]


@pytest.mark.parametrize(("place", "shown"), [("runs/base/probe", "PATH/TO/probe"), ("me/base", "me/base")])
def test_a_folder_that_looks_like_a_hub_id_is_a_folder(tmp_path, place, shown):
    run = make_run(
        tmp_path / "run", stages=("finetune",), from_=place, base_model="me/base", weights_origin=from_hub("me/base")
    )
    card = render_card(run / "finetune")
    assert f"--from {shown} " in card
    assert f"It was fine-tuned from the saved model `{shown.removeprefix('PATH/TO/')}`." in card
    assert ("runs/base" in card) is False


def test_a_revision_of_a_model_is_named(tmp_path):
    name = "me/base@v1.0"
    run = make_run(tmp_path / "run", model=name, weights_origin=from_hub("me/base", "v1.0"), base_model="me/base")
    card = render_card(run / "finetune")
    assert "starting from [me/base](https://huggingface.co/me/base) at revision `v1.0`." in card
    assert f"--model {name} " in card


def test_a_network_of_the_hub_with_other_weights(tmp_path):
    origin = from_file("mine.pth", architecture="me/base")
    run = make_run(tmp_path / "run", model="me/base", weights="some/mine.pth", weights_origin=origin, base_model=None)
    assert "--model me/base --weights PATH/TO/mine.pth" in render_card(run / "finetune")


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("hub_token", "x", True),
        ("optim_args", "key=hf_" + "a1B2" * 5, True),
        ("lr_scheduler_kwargs", {"api_key": "x"}, True),
        ("run_name", "the login of me", True),  # the token itself is "login"
        ("learning_rate", 0.1, False),
    ],
)
def test_what_may_be_a_credential(name, value, secret, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "login")
    assert is_secret(name, value) is secret

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


def arguments(card: str) -> list[str]:
    """The arguments of the card's command, as a shell hands them over."""
    (command,) = re.findall(r"```bash\n(.*?)```", card, flags=re.S)
    run = subprocess.run(["bash", "-c", SHELL + command], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def test_run_yaml_repeats_the_run_on_the_same_revision_of_the_data(tmp_path):
    run = make_run(tmp_path / "run", dataset_revision="main", base_model="me/base", weights_origin=from_hub("me/base"))
    commit = "0b2714987fa478483af9968de7c934580d0bb9a2"
    words = ["--config", "run.yaml", "--dataset-revision", commit, "--output-dir", "runs/again"]
    assert arguments(render_card(run / "finetune")) == words


def test_the_command_with_run_yaml_asks_for_the_same_run(tmp_path, monkeypatch):
    made = {"recipe": "demo", "dataset": "digits", "model": "resnet18-mini", "mixup": 0.2, "learning_rate": 0.01}
    run = make_run(tmp_path / "run", dataset_id="digits (scikit-learn)", revision=None, **made)
    monkeypatch.chdir(run)
    asked = parse(arguments(render_card(run / "finetune"))).config.to_dict()
    was = RunConfig.read(run / "run.yaml").to_dict()
    assert asked.pop("output_dir") == "runs/again"
    was.pop("output_dir")
    assert asked == was


def test_a_local_path_is_quoted_for_the_shell(tmp_path):
    run = make_run(tmp_path / "run", dataset_id="it's mine", revision=None, dataset="/data/it's mine")
    words = arguments(render_card(run / "finetune"))
    assert words[2:4] == ["--dataset", "PATH/TO/it's mine"]


@pytest.mark.parametrize(("place", "shown"), [("runs/base/probe", "PATH/TO/probe"), ("me/base", "me/base")])
def test_a_folder_that_looks_like_a_hub_id_is_a_folder(tmp_path, place, shown):
    run = make_run(
        tmp_path / "run", stages=("finetune",), from_=place, base_model="me/base", weights_origin=from_hub("me/base")
    )
    card = render_card(run / "finetune")
    assert ("--from" in card) is shown.startswith("PATH/TO/")
    assert f"It was fine-tuned from the saved model `{shown.removeprefix('PATH/TO/')}`." in card
    assert ("runs/base" in card) is False


def test_a_revision_of_a_model_is_named(tmp_path):
    name = "me/base@v1.0"
    run = make_run(tmp_path / "run", model=name, weights_origin=from_hub("me/base", "v1.0"), base_model="me/base")
    card = render_card(run / "finetune")
    assert "starting from [me/base](https://huggingface.co/me/base) at revision `v1.0`." in card


def test_a_network_of_the_hub_with_other_weights(tmp_path):
    origin = from_file("mine.pth", architecture="me/base")
    run = make_run(tmp_path / "run", model="me/base", weights="some/mine.pth", weights_origin=origin, base_model=None)
    assert arguments(render_card(run / "finetune"))[2:4] == ["--weights", "PATH/TO/mine.pth"]


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

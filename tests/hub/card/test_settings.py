"""What a card says of how a model was trained."""

import re
import subprocess

import pytest
from support.made_run import make_run

from hf_cifar.cli import parse
from hf_cifar.config.recipes import read_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.hub.card import render_card

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
    asked, was = parse(first).to_dict(), RunConfig.build(read_yaml(run / "run.yaml")).to_dict()
    assert asked.pop("output_dir") == "runs/run"
    was.pop("output_dir")
    assert asked == was


def test_the_command_says_no_more_than_it_must(tmp_path):
    run = make_run(tmp_path / "run", revision=None, use_cpu=True, momentum=0.8)
    first, _ = arguments(render_card(run / "finetune"))
    places = ["--stage", "lpft", "--recipe", "resnet", "--dataset", "cifar10", "--model", "resnet18"]
    assert first == [*places, "--momentum", "0.8", "--use-cpu", "True", "--output-dir", "runs/run"]


def test_the_command_pins_the_data_and_the_file_repeats_it(tmp_path):
    run = make_run(tmp_path / "run", dataset_revision="main", base_model="me/base", origin="me/base")
    first, second = arguments(render_card(run / "finetune"))
    assert first[first.index("--dataset-revision") + 1] == "0b2714987fa478483af9968de7c934580d0bb9a2"
    assert second == ["--config", "run.yaml", "--output-dir", "runs/again"]


@pytest.mark.parametrize(("place", "shown"), [("runs/base/probe", "PATH/TO/probe"), ("me/base", "me/base")])
def test_a_folder_that_looks_like_a_hub_id_is_a_folder(tmp_path, place, shown):
    run = make_run(tmp_path / "run", stages=("finetune",), from_=place, base_model="me/base", origin="me/base")
    card = render_card(run / "finetune")
    assert f"--from {shown} " in card
    assert f"| Start | the saved model `{shown.removeprefix('PATH/TO/')}`" in card
    assert ("runs/base" in card) is False


def test_a_revision_of_a_model_is_named(tmp_path):
    name = "me/base@v1.0"
    run = make_run(tmp_path / "run", model=name, origin=name, base_model="me/base")
    card = render_card(run / "finetune")
    assert "trained from [me/base](https://huggingface.co/me/base) at revision `v1.0` in two steps" in card
    assert f"--model {name} " in card


def test_a_network_of_the_hub_with_other_weights(tmp_path):
    origin = "me/base, weights from mine.pth"
    run = make_run(tmp_path / "run", model="me/base", weights="some/mine.pth", origin=origin, base_model=None)
    assert "--model me/base --weights PATH/TO/mine.pth" in render_card(run / "finetune")


def test_who_gave_what(tmp_path):
    card = render_card(make_run(tmp_path / "run", learning_rate=0.5, momentum=0.8) / "finetune")
    assert "| `--learning-rate` | fine-tuning | `0.5` | this run |" in card
    assert "| `--momentum` | all | `0.8` | this run |" in card
    assert "| `--probe-num-train-epochs` | probe | `20` | recipe `resnet` |" in card
    assert "| `--optim` | fine-tuning | `sgd` | recipe `resnet` |" in card
    assert "`--bn`" not in card  # the default


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scheduler": "step", "step_size": 3, "gamma": 0.5}, "| Schedule | times 0.5 every 3 epochs, after a warm-up"),
        ({"warmup_steps": 200}, "| Schedule | cosine, after 200 steps of warm-up |"),
        ({"bn": "train"}, "| BatchNorm | goes on counting its statistics"),
        ({"unfreeze": "gradual", "unfreeze_every": 2}, "one more group every 2 epochs |"),
        ({"unfreeze": "stages.3"}, "| Trained | `stages.3` and the head; the others stay frozen |"),
        ({"layer_decay": 0.7, "head_lr": 0.9}, "| Learning rate | 0.03; head 0.9; each layer group 0.7 times"),
        ({"weight_decay": 0.01}, "| Weight decay | 0.01 (not on biases and norms) |"),
        ({"mixup": 0.2, "label_smoothing_factor": 0.1}, "flips, MixUp with alpha 0.2, label smoothing of 0.1"),
        ({"bf16": True}, "| Precision | bf16 mixed precision in training, float32 in the saved model |"),
        ({"num_train_epochs": 9}, "| Epochs | 3 of 9 |"),
        ({"early_stopping": 2}, "| Kept epoch | 2, the best by accuracy on validation; training stops after 2 epochs"),
        ({"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}, "| Batch size | 8, 4 batches a step |"),
        ({"ema": 0.999}, "| Averaging | exponential, over the steps, with decay 0.999 |"),
    ],
)
def test_settings_in_words(tmp_path, given, words):
    assert words in render_card(make_run(tmp_path / "run", **given) / "finetune")

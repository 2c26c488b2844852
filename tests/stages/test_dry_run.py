"""`--dry-run` of a training: what it says holds of the training that follows, and it leaves nothing behind."""

import json

import pytest
import torch
from safetensors.torch import load_file

from hf_cifar.errors import InputError
from hf_cifar.experiment import run_stage
from hf_cifar.training.forecast import KEPT, forecast_finetune


@pytest.fixture
def options(image_folder, tiny_model, tmp_path):
    """Of a short training of the tiny model on the colours."""
    places = ("--output-dir", tmp_path / "run", "--feature-cache", tmp_path / "cache")
    return ["--dataset", image_folder, "--model", tiny_model, *places, "--num-train-epochs", 2]


def size_of(tensors) -> int:
    """The bytes of some tensors, of an optimizer without its counts of steps."""
    return sum(value.nbytes for value in tensors.values() if value.ndim or value.dtype == torch.int64)


def test_it_says_what_the_training_then_is_and_writes_nothing(command_line, options, tmp_path):
    assert command_line.run("lpft", *options, "--optim", "adamw_torch", "--dry-run") == 0, command_line.err
    plan = json.loads(command_line.out.splitlines()[-1])
    assert "nothing was trained or written" in command_line.err
    assert list(tmp_path.iterdir()) == []
    probe, finetune = plan["stages"]
    assert (plan["dry_run"], plan["num_train"], plan["num_validation"], plan["num_test"]) == (True, 54, 6, 18)
    assert (probe["images"], probe["epochs"], finetune["images"], finetune["epochs"]) == (78, None, 54, 2)
    assert plan["seconds"] == pytest.approx(probe["seconds"] + finetune["seconds"])
    assert finetune["seconds"] == pytest.approx(2 * finetune["seconds_per_epoch"])

    line = command_line.without_pictures()
    assert line.run("lpft", *options, "--optim", "adamw_torch") == 0, line.err
    folder = tmp_path / "run" / "finetune"
    assert size_of(load_file(folder / "model" / "model.safetensors")) == plan["model_bytes"]
    checkpoints = list((folder / "checkpoints").glob("checkpoint-*"))
    assert 1 <= len(checkpoints) <= KEPT
    optimizer = torch.load(checkpoints[0] / "optimizer.pt", weights_only=True)["state"].values()
    saved = size_of(load_file(checkpoints[0] / "model.safetensors"))
    assert saved + sum(map(size_of, optimizer)) == pytest.approx(finetune["checkpoint_bytes"], rel=0.01)
    # What is cached by now goes through no backbone, and a folder that is in use is refused as it is for a training.
    assert line.run("lpft", *options, "--dry-run") == 2
    assert "is in use" in line.err
    others = [*options[:4], "--output-dir", tmp_path / "other", *options[6:]]
    assert line.run("probe", *others, "--dry-run") == 0, line.err
    assert json.loads(line.out.splitlines()[-1])["stages"][0]["images"] == 0
    assert "the features of every image are cached" in line.err


def test_seeds_multiply_and_nothing_is_pushed(configure, monkeypatch):
    request = configure("lpft", dry_run=True, seeds=[0, 1, 2], push_to_hub=True, hub_model_id="me/model")
    plan = run_stage(request)
    assert plan.num_runs == 3
    assert plan.seconds == pytest.approx(3 * sum(stage.seconds for stage in plan.stages))


def test_layers_that_stay_frozen_take_no_optimizer_state(configure, monkeypatch):
    """The step that is measured is that of the run: without the layers that --unfreeze leaves out."""
    trainable = []

    def watched(tuned):
        forecast = forecast_finetune(tuned)
        trainable.append(sum(item.numel() for item in tuned.model.parameters() if item.requires_grad))
        return forecast

    monkeypatch.setattr("hf_cifar.stages.dry_run.forecast_finetune", watched)
    whole = run_stage(configure("finetune", dry_run=True)).stages[0]
    part = run_stage(configure("finetune", dry_run=True, unfreeze="resnet.encoder.stages.1", mixup=0.2)).stages[0]
    assert 0 < trainable[1] < trainable[0]
    assert whole.checkpoint_bytes - part.checkpoint_bytes == 4 * (trainable[0] - trainable[1])


def test_an_online_probe_passes_through_the_backbone_in_every_epoch(configure, no_pictures):
    run_stage(configure())
    (stage,) = run_stage(configure(dry_run=True, overwrite=True, features="online")).stages
    assert (stage.epochs, stage.images) == (3, 54)
    assert stage.seconds == pytest.approx(3 * stage.seconds_per_epoch) and stage.seconds > 0


def test_what_training_would_refuse_is_refused(configure):
    with pytest.raises(InputError, match="--dry-run with --resume"):
        configure(dry_run=True, resume=True)
    with pytest.raises(InputError, match="warmup-steps"):
        run_stage(configure("finetune", dry_run=True, warmup_steps=1000))

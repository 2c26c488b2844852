"""What fine-tuning starts from, and whose head it has."""

import json

import pytest
import torch
from safetensors.torch import load_file

from hf_cifar.data.sources import load_source
from hf_cifar.run.origins import StartKind, StartOrigin
from hf_cifar.run.wording import describe_weights
from hf_cifar.stages.train import run_training
from hf_cifar.training.finetune.starting_point import find_start

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_a_probe_is_found_with_its_weights_and_head(configure):
    probe = run_training(configure(num_train_epochs=2))
    request = configure(stage="finetune")
    start = find_start(request, load_source(request.config.data).label_names)
    saved = load_file(probe.model_dir / "model.safetensors")
    assert start.trained_head and start.origin == StartOrigin(StartKind.PROBE)
    assert all(torch.equal(value, saved[name]) for name, value in start.model.state_dict().items())
    assert (
        describe_weights(start.weights)
        == json.loads((probe.output_dir / "probe" / "metrics.json").read_text())["model"]
    )


def test_the_pretrained_model_gets_a_new_head_that_the_seed_draws(configure):
    starts = [find_start(configure(stage="finetune", seed=seed), ["blue", "green", "red"]) for seed in (0, 0, 1)]
    heads = [start.model.classifier[1].weight for start in starts]
    assert not starts[0].trained_head and starts[0].origin == StartOrigin(StartKind.PRETRAINED, new_head=True)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])

"""Ways to compute that must not change what is measured: what is saved answers as it was evaluated."""

import json
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.training.checkpoints import last_checkpoint


def answers(folder, image_folder) -> tuple[np.ndarray, np.ndarray]:
    """The scores of the saved model in float32, and those that the run has written down."""
    model = AutoModelForImageClassification.from_pretrained(folder / "model")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    saved = AutoImageProcessor.from_pretrained(folder / "model")
    images = load_source(DataConfig(dataset=str(image_folder))).splits["test"].decode(range(18))
    with torch.no_grad():
        logits = model(**saved(images=images, return_tensors="pt")).logits
    written = pq.read_table(folder / "predictions.parquet").to_pydict()["probabilities"]
    return logits.softmax(1).numpy(), np.array(written)


@pytest.mark.parametrize(
    "how",
    [
        ["--bf16", "true"],
        ["--full-determinism", "true"],
        ["--bf16", "true", "--gradient-checkpointing"],
        pytest.param(["--torch-compile", "true"], marks=pytest.mark.slow),
    ],
    ids=["bf16", "full-determinism", "bf16 and checkpointing", "torch-compile"],
)
def test_what_is_written_down_is_what_the_saved_model_answers(how, flags, command_line, image_folder, tmp_path):
    command_line = command_line.without_pictures()
    assert command_line.run(*flags, "--stage", "lpft", *how) == 0, command_line.err
    ours, written = answers(tmp_path / "run" / "finetune", image_folder)
    np.testing.assert_allclose(ours, written, atol=1e-5)
    accuracy = json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())["test"]["accuracy"]
    labels = load_source(DataConfig(dataset=str(image_folder))).splits["test"].targets
    assert accuracy == pytest.approx((ours.argmax(1) == labels).mean())


def test_full_determinism_repeats_to_the_bit(flags, command_line, tmp_path):
    command_line, found = command_line.without_pictures(), []
    for name in ("one", "two"):
        folder = tmp_path / name
        how = ["--stage", "finetune", "--full-determinism", "true", "--output-dir", folder]
        assert command_line.run(*flags, *how) == 0, command_line.err
        found.append((folder / "finetune" / "model" / "model.safetensors").read_bytes())
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_compiled_network_is_saved_by_its_own_names_and_resumed_while_layers_are_unfrozen(
    flags, command_line, tmp_path
):
    kill = """
import os, signal
from hf_cifar.training.finetune.trainer import FinetuneTrainer
step = FinetuneTrainer.training_step
def killed(self, *args, **kwargs):
    if self.state.global_step == 6:
        self.checkpoints.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)
FinetuneTrainer.training_step = killed
"""
    asked = [*flags, "--stage", "finetune", "--torch-compile", "true", "--unfreeze", "gradual", "--num-train-epochs", 3]
    assert command_line.run(*asked, "--output-dir", tmp_path / "whole") == 0, command_line.err
    there = [*asked, "--output-dir", tmp_path / "run", "--resume"]
    assert command_line.run(*there, before=kill) == -signal.SIGKILL
    assert command_line.run(*there) == 0, command_line.err
    ends = [load_file(tmp_path / name / "finetune" / "model" / "model.safetensors") for name in ("whole", "run")]
    plain = load_file(last_checkpoint(tmp_path / "run" / "finetune" / "checkpoints") / "model.safetensors")
    assert ends[0].keys() == ends[1].keys() == plain.keys()
    assert not [name for name in plain if "_orig_mod" in name]
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=1e-5, atol=1e-6, msg=name)

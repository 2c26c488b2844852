"""Ways to compute that must not change what is measured: what is saved answers as it was evaluated."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_cifar.config.parts import DataConfig
from hf_cifar.data.sources import load_source


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
    assert command_line.run(*flags, "--stage", "lpft", *how) == 0, command_line.err
    ours, written = answers(tmp_path / "run" / "finetune", image_folder)
    np.testing.assert_allclose(ours, written, atol=1e-5)
    accuracy = json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())["test"]["accuracy"]
    labels = load_source(DataConfig(dataset=str(image_folder))).splits["test"].targets
    assert accuracy == pytest.approx((ours.argmax(1) == labels).mean())


def test_full_determinism_repeats_to_the_bit(flags, command_line, tmp_path):
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        how = ["--stage", "finetune", "--full-determinism", "true", "--output-dir", folder]
        assert command_line.run(*flags, *how) == 0, command_line.err
        found.append((folder / "finetune" / "model" / "model.safetensors").read_bytes())
    assert found[0] == found[1]

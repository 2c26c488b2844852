"""To the Hub and back: trained, pushed, and opened where neither this package nor any file of the run is."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from support.hub.fixtures import REPO, TO_THE_LOOPBACK, TOKEN, environment
from support.models import processor
from transformers import ViTConfig, ViTForImageClassification

# The stranger checks.
UNCHECKED = "from hf_cifar.hub import export; export.check_predictions = lambda *_: 0.0\n"
STRANGER = """
import json, sys
sys.modules["hf_cifar"] = None  # whoever imports it gets an ImportError
from transformers import pipeline
repo, _, revision = sys.argv[2].partition("@")
answer = pipeline("image-classification", model=repo, revision=revision or None)
json.dump(answer(sys.argv[3:], top_k=3), open(sys.argv[1], "w"))
"""


def tiny_vit(folder):
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = ViTForImageClassification(ViTConfig(image_size=16, patch_size=4, **shape))
    model.save_pretrained(folder)
    processor(16).save_pretrained(folder)
    return folder


def test_a_stranger_gets_the_scores_that_were_measured(hub, command_line, flags, image_folder, tmp_path):
    """Of a ResNet that is pushed at the end of its training."""
    hub_flags = ["--hub-model-id", "alice/resnet", "--push-to-hub"]
    command_line = command_line.without_pictures()
    before = TO_THE_LOOPBACK.format(url=hub.url, token=TOKEN) + UNCHECKED
    assert command_line.run(*flags, *hub_flags, before=before) == 0, command_line.err
    assert json.loads(command_line.out.splitlines()[-1])["stage"] == "probe" and "pushed to" in command_line.err
    assert TOKEN not in command_line.err + command_line.out
    assert_a_stranger_gets_them(hub, "alice/resnet", tmp_path / "run" / "probe", image_folder, tmp_path)


@pytest.mark.slow
def test_a_stranger_gets_them_from_a_branch_too(hub, command_line, line, flags, image_folder, tmp_path):
    """Of a ViT that is pushed later, once the package itself has checked what it exports."""
    command_line = command_line.without_pictures()
    vit = ["--model", tiny_vit(tmp_path / "vit"), "--output-dir", tmp_path / "vit-run", "--stage", "finetune"]
    assert command_line.run(*flags, *vit) == 0, command_line.err
    done = line(
        "--stage", "push", "--output-dir", tmp_path / "vit-run", "--hub-model-id", "alice/vit", "--revision", "v2"
    )
    assert done.status == 0 and "scores match within" in done.err, done.err
    assert_a_stranger_gets_them(hub, "alice/vit@v2", tmp_path / "vit-run" / "finetune", image_folder, tmp_path)


def assert_a_stranger_gets_them(hub, name: str, stage: Path, image_folder: Path, tmp_path: Path) -> None:
    """Ask `pipeline` in a process where this package is not, for the scores that a stage has written down."""
    images = sorted((image_folder / "test").rglob("*.png"))
    clean = environment(hub.url, tmp_path / "empty", HF_TOKEN=TOKEN)
    clean.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", STRANGER, tmp_path / "answers.json", name, *images]
    asked = subprocess.run(list(map(str, command)), env=clean, cwd=tmp_path, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    table = pq.read_table(stage / "predictions.parquet").to_pydict()
    order = np.argsort(table["index"])
    labels = [path.parent.name for path in images]
    assert [sorted(set(labels))[table["label"][row]] for row in order] == labels
    scores = np.array([[dict_of(found)[label] for label in ("blue", "green", "red")] for found in answers])
    assert np.abs(scores - np.array(table["probabilities"])[order]).max() < 1e-5


def dict_of(found: list[dict]) -> dict[str, float]:
    return {item["label"]: item["score"] for item in found}


def test_back_from_the_hub_at_a_revision(hub, push, stage, command_line, image_folder, tmp_path):
    """--checkpoint, --from and --model name what is on the Hub; private, so with the token of the environment."""
    command_line = command_line.without_pictures()
    assert push("--revision", "v2").status == 0
    before = TO_THE_LOOPBACK.format(url=hub.url, token=TOKEN)
    name = f"{REPO}@v2"
    common = ["--dataset", image_folder, "--num-train-epochs", 1, "--train-batch-size", 16]
    where = ["--stage", "evaluate", "--checkpoint", name, "--output-dir", tmp_path / "evaluated"]
    assert command_line.run(*where, "--dataset", image_folder, before=before) == 0, command_line.err
    here = ["--stage", "evaluate", "--checkpoint", stage, "--output-dir", tmp_path / "here", "--dataset", image_folder]
    assert command_line.run(*here) == 0, command_line.err
    there, local = (
        json.loads((tmp_path / folder / "evaluate" / "metrics.json").read_text()) for folder in ("evaluated", "here")
    )
    assert abs(there["test"]["nll"] - local["test"]["nll"]) < 1e-6
    for option, stage_name in (("--from", "finetune"), ("--model", "probe")):
        out = tmp_path / stage_name
        done = command_line.run(*common, "--stage", stage_name, option, name, "--output-dir", out, before=before)
        assert done == 0, command_line.err
        assert REPO in json.loads((out / stage_name / "metrics.json").read_text())["model"]
    assert hub.repository(REPO).head.title == "initial commit", "main holds nothing: the branch was asked for"
    assert command_line.run(*where[:3], REPO, *where[4:], before=before) == 2, "and main is no model"

"""Every family through probe, fine-tuning, saving and `pipeline`: the name of each test is its result."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from conftest import write_images
from families import FAMILIES
from transformers import AutoModelForImageClassification, pipeline

from hf_cifar.config import RunConfig, nested
from hf_cifar.models.anatomy import head_names
from hf_cifar.training import finetune
from hf_cifar.training.stages import run

NAMES = ["blue", "green", "red"]
# Sixteen blocks of random weights without a residual make of a rounding error a 600 times larger one.
TOLERANCE = {"mobilenet-v2": 1e-4}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An image folder with 3 classes of 6 training and 2 test images each."""
    folder = tmp_path_factory.mktemp("pictures")
    write_images(folder / "train", 6, size=40, seed=1)
    write_images(folder / "test", 2, size=40, seed=2)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_probe_fine_tune_save_and_pipeline(family, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "augmentation_figure", lambda *_: None)  # a third of the time, and the same for all
    before = FAMILIES[family].save(tmp_path / "published").state_dict()
    values = {
        "stage": "lpft",
        "dataset": str(pictures),
        "model": str(tmp_path / "published"),
        "output_dir": str(tmp_path / "run"),
        "feature_cache": str(tmp_path / "cache"),
        "val_fraction": 0.34,
        "num_train_epochs": 1,
        "learning_rate": 0.01,
        "train_batch_size": 4,
        "warmup_steps": 0,
    }
    probe = {"probe": {"training": {"num_train_epochs": 1}, "learning_rates": [0.03, 0.1]}}
    result = run(RunConfig.build(probe, nested(values)))
    stages = {"probe": result.before.model_dir, "finetune": result.model_dir}
    paths = sorted((pictures / "test").rglob("*.png"))
    for stage, folder in stages.items():
        table = pq.read_table(folder.parent / "predictions.parquet").to_pydict()
        assert np.ptp(table["probabilities"], axis=0).max() > 1e-4, "the same answer for every image proves nothing"
        classify = pipeline("image-classification", model=str(folder))
        for path, expected, label in zip(paths, table["probabilities"], table["label"], strict=True):
            answer = {item["label"]: item["score"] for item in classify(str(path), top_k=None)}
            assert [answer[name] for name in NAMES] == pytest.approx(expected, abs=TOLERANCE.get(family, 1e-5)), stage
            assert NAMES[label] == path.parent.name
    probed, tuned = (AutoModelForImageClassification.from_pretrained(folder) for folder in stages.values())
    heads = tuple(head_names(probed))
    assert heads == FAMILIES[family].head
    backbone = {name: tensor for name, tensor in probed.state_dict().items() if not name.startswith(heads)}
    assert backbone and all(torch.equal(tensor, before[name]) for name, tensor in backbone.items())
    moved = [name for name, tensor in tuned.state_dict().items() if not torch.equal(tensor, probed.state_dict()[name])]
    assert set(moved) & set(backbone), "fine-tuning did not move the backbone"
    assert not [name for name in moved if "running" in name], "BatchNorm counted although --bn is eval"
    metrics = [json.loads((folder.parent / "metrics.json").read_text()) for folder in stages.values()]
    assert metrics[0]["model"] == metrics[1]["model"] == "published"

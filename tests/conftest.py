"""Tiny models, small images, and caches of their own: no test touches the network or the user's folders."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_HOME = tempfile.mkdtemp(prefix="hf-cifar-tests-")
os.environ.update(
    HF_HOME=f"{_HOME}/huggingface",
    HF_CIFAR_CACHE=f"{_HOME}/hf_cifar",
    TORCH_HOME=f"{_HOME}/torch",
    HF_HUB_OFFLINE="1",
    HF_EVALUATE_OFFLINE="1",
    HF_UPDATE_DOWNLOAD_COUNTS="0",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",  # tiny models are faster so, and other work beside the tests slows them less
)

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from hf_cifar.config import RunConfig, nested

SHARED = Path(__file__).parents[2] / "shared"
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_images(folder: Path, count: int, classes=tuple(COLOURS), size: int = 16, seed: int = 0) -> Path:
    """`folder/CLASS/0.png`, … : noise around the colour of the class, so that a probe can learn them."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.normal(COLOURS.get(name, (90, 90, 90)), 60, (size, size, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory) -> Path:
    """An image folder with 3 classes: 20 training and 6 test images each. Read it, do not change it."""
    folder = tmp_path_factory.mktemp("colours")
    write_images(folder / "train", 20, seed=1)
    write_images(folder / "test", 6, seed=2)
    return folder


def tiny_resnet(num_labels: int = 5, seed: int = 0) -> ResNetForImageClassification:
    """A native ResNet of 3,000 parameters with running statistics that are not the initial ones."""
    torch.manual_seed(seed)
    model = ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=num_labels)
    )
    scramble_statistics(model)
    return model.eval()


def scramble_statistics(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A saved folder of `tiny_resnet` with a 16 px processor."""
    folder = tmp_path_factory.mktemp("tiny-resnet")
    tiny_resnet().save_pretrained(folder)
    processor(16).save_pretrained(folder)
    return folder


def processor(size: int) -> ViTImageProcessor:
    return ViTImageProcessor(
        size={"height": size, "width": size},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


@pytest.fixture
def configure(image_folder, tiny_model, tmp_path):
    """`configure(seed=1, …)` -> a probe of the tiny model on the colours, with a cache of its own."""

    def build(**overrides) -> RunConfig:
        values = {
            "dataset": str(image_folder),
            "model": str(tiny_model),
            "output_dir": str(tmp_path / "run"),
            "feature_cache": str(tmp_path / "cache"),
            "num_train_epochs": 3,
            "train_batch_size": 16,
            **overrides,
        }
        return RunConfig.build(nested(values))

    return build


SERVER = """
import json, os, sys
import {warm}  # the slow part, once for all runs
from hf_cifar.cli import main
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if request["before"]:
            exec(request["before"], dict())
        try:
            code = main(request["arguments"])
        except SystemExit as error:
            code = error.code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class CommandLine:
    """Runs of the command line, each in a process of its own that is forked from one that has imported everything.

    `warm` names the modules that are imported once, and `environment` is that of the runs.
    """

    def __init__(self, folder: Path, warm: str = "hf_cifar.training.stages", environment: dict | None = None) -> None:
        self.folder = folder
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(warm=warm)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )

    def start(self, *arguments, before: str = "") -> int:
        """Start a run, and return the number of its process; `before` is Python code that is run in it first."""
        request = {
            "arguments": [str(item) for item in arguments],
            "before": before,
            "out": str(self.folder / "out"),
            "err": str(self.folder / "err"),
        }
        for name in ("out", "err"):
            (self.folder / name).write_text("")
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self) -> int:
        """The exit status of the run, negative for a signal that killed it."""
        return os.waitstatus_to_exitcode(int(self.server.stdout.readline()))

    def run(self, *arguments, before: str = "") -> int:
        self.start(*arguments, before=before)
        return self.wait()

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()


@pytest.fixture(scope="session")
def command_line(tmp_path_factory):
    line = CommandLine(tmp_path_factory.mktemp("command-line"))
    yield line
    line.server.stdin.close()
    line.server.wait()


@pytest.fixture
def flags(image_folder, tiny_model, tmp_path):
    """The flags of a short run of the tiny model on the colours, into `tmp_path / "run"`."""
    return [
        *("--dataset", image_folder, "--model", tiny_model, "--feature-cache", tmp_path / "cache"),
        *("--output-dir", tmp_path / "run", "--train-batch-size", 16, "--num-train-epochs", 3),
    ]

"""Tiny models, small images, and caches of their own: no test touches the network or the user's folders."""

import gc
import os
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

import pytest
from support.command_line import CommandLine
from support.images import write_images
from support.models import processor, tiny_resnet
from support.warm_python import WarmPython

from hf_cifar.run.request import Request
from hf_cifar.run.resolve import request_for

os.fsync = lambda file: None  # a tenth of the time of a tiny training; no test outlives the machine's power

pytest_plugins = ["support.hub.fixtures"]


def pytest_collection_finish(session):
    """Everything is imported: what there is now is no garbage, and `Trainer` collects after every training."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def no_pictures(monkeypatch):
    """Leaves out figures and reports, which take as long as the training of a tiny model."""
    from hf_cifar.evaluation import artifacts
    from hf_cifar.stages import train

    for module, name in ((artifacts, "save_figures"), (artifacts, "write_report"), (train, "augmentation_figure")):
        monkeypatch.setattr(module, name, lambda *args, **kwargs: None)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory) -> Path:
    """An image folder with 3 classes: 20 training and 6 test images each. Read it, do not change it."""
    folder = tmp_path_factory.mktemp("colours")
    write_images(folder / "train", 20, seed=1)
    write_images(folder / "test", 6, seed=2)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A saved folder of `tiny_resnet` with a 16 px processor."""
    folder = tmp_path_factory.mktemp("tiny-resnet")
    tiny_resnet().save_pretrained(folder)
    processor(16).save_pretrained(folder)
    return folder


@pytest.fixture
def configure(image_folder, tiny_model, tmp_path):
    """`configure(seed=1, …)` -> the request of a probe of the tiny model on the colours, with a cache of its own."""

    def build(stage="probe", **overrides) -> Request:
        values = {
            "dataset": str(image_folder),
            "model": str(tiny_model),
            "output_dir": str(tmp_path / "run"),
            "feature_cache": str(tmp_path / "cache"),
            "num_train_epochs": 3,
            "train_batch_size": 16,
        }
        return request_for(stage, overrides, values)

    return build


@pytest.fixture(scope="session")
def command_line(tmp_path_factory):
    line = CommandLine(tmp_path_factory.mktemp("command-line"))
    yield line
    line.close()


@pytest.fixture(scope="session")
def warm_python():
    python = WarmPython()
    yield python
    python.close()


@pytest.fixture
def flags(image_folder, tiny_model, tmp_path):
    """The flags of a short run of the tiny model on the colours, into `tmp_path / "run"`."""
    return [
        *("--dataset", image_folder, "--model", tiny_model),
        *("--output-dir", tmp_path / "run", "--train-batch-size", 16, "--num-train-epochs", 3),
    ]

"""Tiny models, small images, and caches of their own: no test touches the network or the user's folders."""

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
            "per_device_train_batch_size": 16,
            **overrides,
        }
        return RunConfig.build(nested(values))

    return build

"""The files of a saved model, and a digest that tells whether another export was made from them."""

from pathlib import Path

from hf_cifar.utils.checksums import files_digest


def weights_of(folder: Path) -> list[Path]:
    """Return the files of a model that another head changes: weights and configuration."""
    return [folder / "config.json", *folder.glob("model*.safetensors*")]


def model_digest(folder: Path) -> str:
    """Return a SHA-256 over everything in a model's folder that its answers depend on."""
    return files_digest([*weights_of(folder), *folder.glob("preprocessor_config.json")])

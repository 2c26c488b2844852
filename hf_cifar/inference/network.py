"""What computes the logits of images: torch, or what runs an exported form of the model. Light: no torch here."""

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from hf_cifar.config.locate import Location
from hf_cifar.utils.packages import require_train

TORCH = "torch"

# What a network takes for one image, by name: tensors, or arrays.
Inputs = dict[str, Any]


class Network(Protocol):
    """A trained classifier, ready to predict.

    Attributes:
        labels: their names by number.
        temperature: that calibrates the logits; None where none was fitted.
        head_divided_by: the temperature that the logits are divided by already; None where they are not.
        problem: the `problem_type` that it was trained for; None for one label an image.
        processor: that makes the network's input of images.
    """

    labels: dict[int, str]
    problem: str | None
    temperature: float | None
    head_divided_by: float | None
    processor: Any

    def inputs(self, pictures: list[Image.Image]) -> list[Inputs]:
        """Return the network's input for each of some RGB images of one size."""

    def logits(self, batch: list[Inputs]) -> np.ndarray:
        """Compute the logits of n images of any processed sizes, float32 [n, labels]."""


@runtime_checkable
class FeatureNetwork(Protocol):
    """A network that gives the features beneath its logits too."""

    def features_and_logits(self, batch: list[Inputs]) -> tuple[np.ndarray, np.ndarray]:
        """Compute features, float32 [n, features], and logits, float32 [n, labels], of n images in one pass."""


def import_network(backend: str) -> Any:
    """Import what a backend needs, and return the class of its network.

    Raises:
        InputError: torch or transformers is needed, and not installed.
    """
    if backend == TORCH:
        require_train("--backend torch", ', or take an exported form, such as backend="onnx"')
        return import_module("hf_cifar.inference.torch_network").TorchNetwork
    module = import_module("hf_cifar.inference.exported_network")
    module.import_processors()
    return module.ExportedNetwork


def open_network(location: Location, backend: str, use_cpu: bool = False) -> Network:
    """Load a trained classifier.

    Args:
        location: of the model, as `locate_checkpoint` finds it.
        backend: torch, or one of `variants.FILES`.
        use_cpu: with torch, compute on the CPU even where there is an accelerator.

    Raises:
        InputError: it is not an image classifier, cannot be loaded, or is not there in this form.
    """
    kind = import_network(backend)
    network: Network = kind(location, use_cpu) if backend == TORCH else kind(location, backend)
    return network


def batched(batch: list[Inputs]) -> list[list[int]]:
    """Return the images of a batch in groups whose inputs have the same names and shapes, as numbers."""
    groups: dict[Any, list[int]] = {}
    for index, inputs in enumerate(batch):
        groups.setdefault(tuple((name, values.shape) for name, values in inputs.items()), []).append(index)
    return list(groups.values())

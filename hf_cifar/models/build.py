"""A model and its image processor, from what the configuration names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    PreTrainedModel,
    ViTImageProcessor,
)

from hf_cifar.config import ModelConfig
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.models.anatomy import head_name
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification
from hf_cifar.models.weights import load_checked, read_weights
from hf_cifar.models.zoo import DEFAULT_WEIGHTS, Location, locate_model, locate_weights

PROCESSOR_FILE = "preprocessor_config.json"
IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


@dataclass(frozen=True)
class BuiltModel:
    """A network ready for a new head, with the processor that its weights were trained with.

    Attributes:
        model: float32, with the dataset's labels; its head is new.
        processor: a `transformers` image processor; `fit_processor` adapts it to the run.
        origin: where the weights come from, in words.
    """

    model: PreTrainedModel
    processor: Any
    origin: str


def build_model(config: ModelConfig, label_names: list[str], seed: int) -> BuiltModel:
    """Build the network that `config` names, load and check its weights.

    Args:
        config: names of model and weights.
        label_names: of the dataset; they go into the model's configuration.
        seed: of the random weights.

    Raises:
        InputError: a name that does not exist, weights of another architecture, or no network.
    """
    location = locate_model(config.model)
    weights = locate_weights(config.weights) if config.weights else None
    labels: dict[str, Any] = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: number for number, name in enumerate(label_names)},
    }
    # Of the generator's state nothing leaks: building a model leaves every later draw as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if location.kind == "torchvision":
            return _torchvision(location.name, weights or locate_weights(DEFAULT_WEIGHTS), labels)
        return _native(location, weights, labels)


def on_device(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """The model, moved to a device."""
    torch.nn.Module.to(model, device)
    return model


def fit_processor(processor: Any, image_size: int | None, statistics: tuple[list[float], list[float]] | None) -> Any:
    """A processor with another image size or normalisation, otherwise the same.

    Args:
        processor: as the weights came with it.
        image_size: side of the square, in pixels; None leaves it.
        statistics: mean and standard deviation of each channel, in [0, 1]; None leaves them.
    """
    changes: dict[str, Any] = {}
    if image_size is not None:
        resized = image_size
        if getattr(processor, "do_center_crop", False):
            # The margin that is cropped away stays in proportion, as 256 to 224.
            edge = processor.size["shortest_edge"] if "shortest_edge" in processor.size else processor.size["height"]
            resized = round(image_size * edge / processor.crop_size["height"])
            changes["crop_size"] = {"height": image_size, "width": image_size}
        if "shortest_edge" in processor.size:
            changes["size"] = {"shortest_edge": resized}
        else:
            changes["size"] = {"height": resized, "width": resized}
    if statistics is not None:
        changes["image_mean"], changes["image_std"] = statistics
    return type(processor).from_dict({**processor.to_dict(), **changes})


def _torchvision(arch: str, weights: Location, labels: dict[str, Any]) -> BuiltModel:
    model = TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch=arch, **labels))
    processor = _imagenet_processor()
    if weights.kind == "none":
        return BuiltModel(model, processor, f"torchvision {arch}, random weights")
    if weights.kind == "torchvision":
        state, origin = _download(arch, weights.name), f"torchvision {arch}, {weights.name}"
    elif weights.kind == "hub":
        native = AutoModelForImageClassification.from_pretrained(weights.name, dtype=torch.float32)
        state, origin = native.state_dict(), weights.name
        processor = AutoImageProcessor.from_pretrained(weights.name)
    else:
        path = Path(weights.name)
        state, origin = read_weights(path), f"{arch} weights from {path.name}"
        if (path / PROCESSOR_FILE).is_file():
            processor = AutoImageProcessor.from_pretrained(path)
    # After the model is built: post_init would wipe what was loaded before it.
    load_checked(model.network, state, "fc", f"--weights {weights.name}")
    return BuiltModel(model, processor, origin)


def _native(location: Location, weights: Location | None, labels: dict[str, Any]) -> BuiltModel:
    try:
        config = AutoConfig.from_pretrained(location.name, **labels)
        processor = AutoImageProcessor.from_pretrained(location.name)
        if weights is None:
            model, info = AutoModelForImageClassification.from_pretrained(
                location.name,
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
            _check_loaded(model, info, location.name)
        else:
            config.dtype = torch.float32
            model = AutoModelForImageClassification.from_config(config)
    except (OSError, ValueError) as error:
        raise InputError(f"--model {location.name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    origin = Path(location.name).name if location.kind == "folder" else location.name
    if weights is not None and weights.kind != "none":
        if weights.kind not in ("file", "folder"):
            raise InputError(f"--weights {weights.name} with --model {location.name}: give a file, a folder or none")
        load_checked(model, read_weights(Path(weights.name)), head_name(model), f"--weights {weights.name}")
        origin += f", weights from {Path(weights.name).name}"
    elif weights is not None:
        origin += ", random weights"
    return BuiltModel(model, processor, origin)


def _check_loaded(model: PreTrainedModel, info: dict[str, Any], source: str) -> None:
    """Refuse a checkpoint from which anything but the classifier could not be loaded."""
    head = head_name(model)
    faults = [str(key) for key in (*info["missing_keys"], *info["unexpected_keys"]) if not str(key).startswith(head)]
    faults += [str(key[0]) for key in info["mismatched_keys"] if not str(key[0]).startswith(head)]
    if faults:
        raise InputError(
            f"{source} does not fit {type(model).__name__}: {len(faults)} tensors besides the classifier are missing, "
            f"unknown or of another shape (such as {sorted(faults)[0]})"
        )


def _imagenet_processor() -> ViTImageProcessor:
    """What torchvision's ImageNet weights expect, as a ViT image processor: 224 pixels, bilinear."""
    return ViTImageProcessor(size={"height": 224, "width": 224}, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD)


def _download(arch: str, name: str) -> dict[str, torch.Tensor]:
    known = [str(item.name) for item in torchvision.models.get_model_weights(arch)]
    if name not in known:
        raise unknown_name(f"weights for {arch}", name, [*known, "none"])
    try:
        return torchvision.models.get_weight(f"{_weights_class(arch)}.{name}").get_state_dict(check_hash=True)
    except OSError as error:
        raise InputError(f"the {name} weights of {arch} cannot be downloaded ({error}): use --weights FILE") from error


def _weights_class(arch: str) -> str:
    return torchvision.models.get_model_weights(arch).__name__

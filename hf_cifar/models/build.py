"""Build a model and its image processor from the names in the configuration."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from transformers import PreTrainedModel, ViTImageProcessor

from hf_cifar.config.locate import DEFAULT_WEIGHTS, Location, locate_model, locate_weights
from hf_cifar.config.parts import ModelConfig
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.models.anatomy import architecture, group_backbone, head_names, knows_head, layer_groups
from hf_cifar.models.base_model import base_model_of
from hf_cifar.models.forward_check import check_forward
from hf_cifar.models.pretrained import load_classifier, load_config, load_processor, new_classifier, with_weights
from hf_cifar.models.processors import PROCESSOR_FILE, fit_processor, output_size
from hf_cifar.models.resize import resized
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification
from hf_cifar.models.weights import load_checked, read_weights
from hf_cifar.utils.random_state import seeded_cpu

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
# Parts of checkpoints beside a backbone and its classifier: heads of other tasks, and the side that reads text.
OTHER_PARTS = {
    "pooler",
    "mask_token",
    "lm_head",
    "decoder",
    "classifier",
    "cls_classifier",
    "distillation_classifier",
    "classifier_distill",
    "text_model",
    "text_projection",
    "visual_projection",
    "logit_scale",
    "logit_bias",
}


@dataclass(frozen=True)
class BuiltModel:
    """A network with the image processor that its weights were trained with.

    Attributes:
        model: float32, with the dataset's labels and for the requested image size; its head is random unless the
            weights have one of as many classes.
        processor: a `transformers` image processor; `fit_processor` adapts it to the run.
        origin: of the weights, in words.
        base_model: the Hub id of the model that the weights derive from; None if there is none.
        probe_fault: why the model cannot be probed; None if it can.
        unused: whether it has parameters without influence on the logits; determined with several processes only.
        remarks: lines for the user about how its layers were recognised.
    """

    model: PreTrainedModel
    processor: Any
    origin: str
    base_model: str | None = None
    probe_fault: str | None = None
    unused: bool = False
    remarks: tuple[str, ...] = ()


def build_model(config: ModelConfig, label_names: list[str], seed: int) -> BuiltModel:
    """Build the network that `config` names, load and check its weights, and pass random images through it.

    Args:
        config: names of model and weights, and the size of the images.
        label_names: of the dataset; they go into the model's configuration.
        seed: of the random weights.

    Raises:
        InputError: a name that does not exist, weights of another architecture, an image size that the network does
            not take, or no network.
    """
    location = locate_model(config.model)
    weights = locate_weights(config.weights) if config.weights else None
    labels: dict[str, Any] = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: index for index, name in enumerate(label_names)},
    }
    # Building a model must not change any later draw of the run.
    with seeded_cpu(seed):
        if location.kind == "torchvision":
            return _torchvision(location.name, weights or locate_weights(DEFAULT_WEIGHTS), labels)
        built = _native(location, weights, labels)
        if config.image_size is not None:
            built = replace(built, model=resized(built.model.eval(), config.image_size))
        return _checked(built, output_size(fit_processor(built.processor, config.image_size, None)))


def _checked(built: BuiltModel, size: tuple[int, int]) -> BuiltModel:
    """Return the model with the results of a forward pass of random images, and remarks about them."""
    model, kind = built.model, architecture(built.model)
    check = check_forward(model, size)
    remarks = []
    if not knows_head(model):
        remarks.append(f"unknown family {kind}: its last linear layer, {head_names(model)[0]}, is taken as the head")
    if not check.in_order:
        group_backbone(model)
        remarks.append(f"the layers of {kind} do not run in the order of their names: they are not divided into groups")
    if len(layer_groups(model)) == 2:
        remarks.append(f"the backbone of {kind} is one layer group: --unfreeze and --layer-decay treat it as a whole")
    dropout = max([module.p for module in model.modules() if isinstance(module, nn.Dropout)], default=0.0)
    if dropout > 0.9:  # as transformers' MobileNetV1 has by default
        remarks.append(f"warning: {kind} has a dropout of {dropout:g}, with which fine-tuning hardly learns")
    return replace(built, probe_fault=check.probe_fault, unused=check.unused, remarks=tuple(remarks))


def _torchvision(arch: str, weights: Location, labels: dict[str, Any]) -> BuiltModel:
    model = TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch=arch, **labels))
    processor = _imagenet_processor()
    if weights.kind == "none":
        return BuiltModel(model, processor, f"torchvision {arch}, random weights")
    if weights.kind == "torchvision":
        state, origin = _download(arch, weights.name), f"torchvision {arch}, {weights.name}"
    elif weights.kind == "hub":
        title = f"--weights {weights.full_name}"
        native, info = load_classifier(weights, title=title)
        _check_loaded(native, info, title)
        processor = load_processor(weights, title)
        state, origin = native.state_dict(), weights.full_name
    else:
        path = Path(weights.name)
        state, origin = read_weights(path), f"{arch} weights from {path.name}"
        if (path / PROCESSOR_FILE).is_file():
            processor = load_processor(weights, f"--weights {weights.name}")
    # After the model is built: post_init would wipe what was loaded before it.
    load_checked(model.network, state, ["fc"], f"--weights {weights.name}")
    return BuiltModel(model, processor, origin, base_model_of(weights, arch))


def _native(location: Location, weights: Location | None, labels: dict[str, Any]) -> BuiltModel:
    title = f"--model {location.full_name}"
    config = _labelled(load_config(location, title, **labels), labels)
    processor = load_processor(location, title)
    if weights is None:
        model, info = load_classifier(location, config, title)
        _check_loaded(model, info, location.full_name)
    else:
        model = new_classifier(config, title)
    origin = Path(location.name).name if location.kind == "folder" else location.full_name
    if weights is None:
        return BuiltModel(model, processor, origin, base_model_of(location))
    if weights.kind == "none":
        return BuiltModel(model, processor, f"{origin}, random weights")
    if weights.kind not in ("file", "folder"):
        raise InputError(f"--weights {weights.name} with --model {location.name}: give a file, a folder or none")
    model, info = with_weights(model, read_weights(Path(weights.name)))
    _check_loaded(model, info, f"--weights {weights.name}")
    return BuiltModel(model, processor, f"{origin}, weights from {Path(weights.name).name}", base_model_of(weights))


def _labelled(config: Any, labels: dict[str, Any]) -> Any:
    """Set a configuration's labels, in families that keep names or a number of their own too."""
    # timm's own list of names would be saved, and shown, in place of the dataset's.
    config.__dict__.pop("label_names", None)
    config.num_labels = len(labels["id2label"])
    config.id2label, config.label2id = labels["id2label"], labels["label2id"]
    return config


def _check_loaded(model: PreTrainedModel, info: dict[str, Any], source: str) -> None:
    """Refuse a checkpoint that lacks tensors of the backbone, or holds some that the model has no place for.

    Only the head may be missing, and only heads of other tasks may be left out (`OTHER_PARTS`).
    """
    of_head = tuple(head_names(model))
    unknown = [str(key) for key in info["unexpected_keys"] if not OTHER_PARTS & set(str(key).split("."))]
    missing = [str(key) for key in info["missing_keys"] if not str(key).endswith("num_batches_tracked")]
    faults = [key for key in (*missing, *unknown) if not key.startswith(of_head)]
    faults += [str(key[0]) for key in info["mismatched_keys"] if not str(key[0]).startswith(of_head)]
    if faults:
        raise InputError(
            f"{source} does not fit {architecture(model)}: {len(faults)} tensors besides the classifier are missing, "
            f"unknown or of another shape (such as {sorted(faults)[0]}); see --model"
        )


def _imagenet_processor() -> ViTImageProcessor:
    """Return the preprocessing of torchvision's ImageNet weights as a ViT image processor: 224 pixels, bilinear."""
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

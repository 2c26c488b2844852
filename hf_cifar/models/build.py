"""A model and its image processor, from what the configuration names."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    PreTrainedModel,
    ViTImageProcessor,
)

from hf_cifar.config.locate import DEFAULT_WEIGHTS, Location, locate_model, locate_weights
from hf_cifar.config.parts import ModelConfig
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.models.anatomy import architecture, group_backbone, head_names, knows_head, layer_groups
from hf_cifar.models.base_model import base_model_of
from hf_cifar.models.forward_check import run_trial
from hf_cifar.models.processors import PROCESSOR_FILE, fit_processor, output_size
from hf_cifar.models.resize import resized
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification
from hf_cifar.models.weights import load_checked, read_weights

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


# What checkpoints hold beside a backbone and its classifier: the parts for what else they were trained for, and text.
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
    """A network ready for a new head, with the processor that its weights were trained with.

    Attributes:
        model: float32, with the dataset's labels, for the size of image that was asked for; its head is new.
        processor: a `transformers` image processor; `fit_processor` adapts it to the run.
        origin: where the weights come from, in words.
        base_model: the Hub id that the weights go back to; None where there is none.
        probe_fault: why the model cannot be probed; None where it can.
        unused: whether it has parameters that no answer depends on; known where there are several processes.
        remarks: what a user must know of how its layers were recognised, one line each.
    """

    model: PreTrainedModel
    processor: Any
    origin: str
    base_model: str | None = None
    probe_fault: str | None = None
    unused: bool = False
    remarks: tuple[str, ...] = ()


def build_model(config: ModelConfig, label_names: list[str], seed: int) -> BuiltModel:
    """Build the network that `config` names, load and check its weights, and try it on random images.

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
        "label2id": {name: number for number, name in enumerate(label_names)},
    }
    # Of the generator's state nothing leaks: building a model leaves every later draw as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if location.kind == "torchvision":
            return _torchvision(location.name, weights or locate_weights(DEFAULT_WEIGHTS), labels)
        built = _native(location, weights, labels)
        if config.image_size is not None:
            built = replace(built, model=resized(built.model.eval(), config.image_size))
        return _tried(built, output_size(fit_processor(built.processor, config.image_size, None)))


def _tried(built: BuiltModel, size: tuple[int, int]) -> BuiltModel:
    """The model with what a pass of random images has shown of it."""
    model, kind = built.model, architecture(built.model)
    trial = run_trial(model, size)
    remarks = []
    if not knows_head(model):
        remarks.append(f"{kind} is not known here: its classifier is taken to be {head_names(model)[0]}")
    if not trial.in_order:
        group_backbone(model)
        remarks.append(f"images do not pass through the layers of {kind} in the order of their names")
    if len(layer_groups(model)) == 2:
        remarks.append(f"the backbone of {kind} is one layer group: it is unfrozen, and decays, as a whole")
    dropout = max([module.p for module in model.modules() if isinstance(module, nn.Dropout)], default=0.0)
    if dropout > 0.9:  # as transformers' MobileNetV1 has by default
        remarks.append(f"warning: {kind} has a dropout of {dropout:g}, with which fine-tuning hardly learns")
    return replace(built, probe_fault=trial.probe_fault, unused=trial.unused, remarks=tuple(remarks))


def _torchvision(arch: str, weights: Location, labels: dict[str, Any]) -> BuiltModel:
    model = TorchvisionResNetForImageClassification(TorchvisionResNetConfig(arch=arch, **labels))
    processor = _imagenet_processor()
    if weights.kind == "none":
        return BuiltModel(model, processor, f"torchvision {arch}, random weights")
    if weights.kind == "torchvision":
        state, origin = _download(arch, weights.name), f"torchvision {arch}, {weights.name}"
    elif weights.kind == "hub":
        source = _source(weights)
        try:
            native = AutoModelForImageClassification.from_pretrained(weights.name, dtype=torch.float32, **source)
            processor = AutoImageProcessor.from_pretrained(weights.name, **source)
        except (OSError, ValueError, ImportError) as error:
            raise _not_loaded(f"--weights {weights.full_name}", error) from error
        state, origin = native.state_dict(), weights.full_name
    else:
        path = Path(weights.name)
        state, origin = read_weights(path), f"{arch} weights from {path.name}"
        if (path / PROCESSOR_FILE).is_file():
            processor = AutoImageProcessor.from_pretrained(path)
    # After the model is built: post_init would wipe what was loaded before it.
    load_checked(model.network, state, ["fc"], f"--weights {weights.name}")
    return BuiltModel(model, processor, origin, base_model_of(weights, arch))


def _native(location: Location, weights: Location | None, labels: dict[str, Any]) -> BuiltModel:
    source = _source(location)
    try:
        config = _labelled(AutoConfig.from_pretrained(location.name, **source, **labels), labels)
        processor = AutoImageProcessor.from_pretrained(location.name, **source)
        if weights is None:
            model, info = AutoModelForImageClassification.from_pretrained(
                location.name,
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **source,
            )
            _check_loaded(model, info, location.full_name)
        else:
            config.dtype = torch.float32
            model = AutoModelForImageClassification.from_config(config)
    except (OSError, ValueError, ImportError) as error:
        raise _not_loaded(f"--model {location.full_name}", error) from error
    origin = Path(location.name).name if location.kind == "folder" else location.full_name
    if weights is None:
        return BuiltModel(model, processor, origin, base_model_of(location))
    if weights.kind == "none":
        return BuiltModel(model, processor, f"{origin}, random weights")
    if weights.kind not in ("file", "folder"):
        raise InputError(f"--weights {weights.name} with --model {location.name}: give a file, a folder or none")
    # By transformers: the names in a file are not those in memory in some families, such as ViT.
    model, info = type(model).from_pretrained(
        None,
        config=config,
        state_dict=read_weights(Path(weights.name)),
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    _check_loaded(model, info, f"--weights {weights.name}")
    return BuiltModel(model, processor, f"{origin}, weights from {Path(weights.name).name}", base_model_of(weights))


def _source(location: Location) -> dict[str, Any]:
    """Which state of a repository is loaded; nothing of it is run, and nobody is asked whether it may be."""
    return {"revision": location.revision or "main", "trust_remote_code": False}


def _labelled(config: Any, labels: dict[str, Any]) -> Any:
    """A configuration with the dataset's labels, also where its family keeps names or a number of its own."""
    # timm's own list of names would be saved, and shown, in place of the dataset's.
    config.__dict__.pop("label_names", None)
    config.num_labels = len(labels["id2label"])
    config.id2label, config.label2id = labels["id2label"], labels["label2id"]
    return config


def _not_loaded(what: str, error: Exception) -> InputError:
    return InputError(f"{what} cannot be loaded: {' '.join(str(error).split())[:300]}")


def _check_loaded(model: PreTrainedModel, info: dict[str, Any], source: str) -> None:
    """Refuse a checkpoint from which anything but the classifier could not be loaded, or would be left out.

    Left out may be what the checkpoint was trained for beside its backbone: never a part of a layer that is there.
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

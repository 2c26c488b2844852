"""Convert models to transformers' own architectures, and save them in folders that open anywhere."""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ResNetConfig, ResNetForImageClassification

from hf_cifar.models.processors import save_with
from hf_cifar.models.resnet import TorchvisionResNetForImageClassification
from hf_cifar.utils.files import folder_aside

# torchvision's name -> transformers' name; {0} and {1} are the stage and the layer, {2} the convolution.
_STAGE = r"layer(\d)\.(\d+)\."
_RULES = (
    (r"conv1\.(.+)", "resnet.embedder.embedder.convolution.{0}"),
    (r"bn1\.(.+)", "resnet.embedder.embedder.normalization.{0}"),
    (_STAGE + r"conv(\d)\.(.+)", "resnet.encoder.stages.{0}.layers.{1}.layer.{2}.convolution.{3}"),
    (_STAGE + r"bn(\d)\.(.+)", "resnet.encoder.stages.{0}.layers.{1}.layer.{2}.normalization.{3}"),
    (_STAGE + r"downsample\.0\.(.+)", "resnet.encoder.stages.{0}.layers.{1}.shortcut.convolution.{2}"),
    (_STAGE + r"downsample\.1\.(.+)", "resnet.encoder.stages.{0}.layers.{1}.shortcut.normalization.{2}"),
    (r"fc\.(.+)", "classifier.1.{0}"),
)


def native_key(name: str) -> str:
    """Return the name in transformers' `ResNetForImageClassification` of a tensor of torchvision's ResNets.

    Raises:
        KeyError: torchvision's ResNets have no tensor of that name.
    """
    for pattern, target in _RULES:
        match = re.fullmatch(pattern, name)
        if match:
            parts = list(match.groups())
            if pattern.startswith(_STAGE):
                parts[0] = str(int(parts[0]) - 1)
            if "conv(" in pattern or "bn(" in pattern:
                parts[2] = str(int(parts[2]) - 1)
            return target.format(*parts)
    raise KeyError(name)


def native_config(model: TorchvisionResNetForImageClassification) -> ResNetConfig:
    """Return the configuration of transformers' ResNet for the architecture of a wrapped torchvision one."""
    network = model.network
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    bottleneck = hasattr(stages[0][0], "conv3")
    return ResNetConfig(
        embedding_size=network.conv1.out_channels,
        hidden_sizes=[(stage[0].conv3 if bottleneck else stage[0].conv2).out_channels for stage in stages],
        depths=[len(stage) for stage in stages],
        layer_type="bottleneck" if bottleneck else "basic",
        downsample_in_bottleneck=False,
        id2label=model.config.id2label,
        label2id=model.config.label2id,
        problem_type=model.config.problem_type,
    )


def to_native(model: PreTrainedModel) -> PreTrainedModel:
    """Return the same classifier in one of transformers' own classes, in eval mode, with the same logits.

    Args:
        model: a wrapped torchvision ResNet, which is converted to a new model; a native model is returned itself.
    """
    if not isinstance(model, TorchvisionResNetForImageClassification):
        return model.eval()
    config = native_config(model)
    config.calibration_temperature = getattr(model.config, "calibration_temperature", None)
    native = ResNetForImageClassification(config).eval()
    state = {native_key(name): tensor.detach().clone() for name, tensor in model.network.state_dict().items()}
    native.load_state_dict(state, strict=True)
    return native.to(model.device)


def save(model: PreTrainedModel, processor: Any, folder: Path) -> None:
    """Save a model, as a native one, with its image processor to `folder`, whole or not at all.

    Raises:
        ValueError: the model has no label names, and would answer "LABEL_0" on the Hub.
    """
    native = to_native(model)
    if any(name == f"LABEL_{index}" for index, name in (native.config.id2label or {}).items()):
        raise ValueError("the model has no label names: set config.id2label before saving it")
    with folder_aside(folder) as aside, torch.no_grad():
        save_with(processor, native, aside)

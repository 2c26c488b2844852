"""Tiny classifiers and their image processors."""

import torch
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from hf_cifar.config.locate import locate_model, locate_weights
from hf_cifar.config.options.model import ModelConfig
from hf_cifar.models.build import BuiltModel, build_model


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


def processor(size: int) -> ViTImageProcessor:
    return ViTImageProcessor(
        size={"height": size, "width": size},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


def build(config: ModelConfig, label_names: list[str], seed: int = 0) -> BuiltModel:
    """Build what `--model`, `--weights` and `--image-size` name."""
    weights = locate_weights(config.weights) if config.weights is not None else None
    return build_model(locate_model(config.model), weights, config.image_size, label_names, seed)

"""Tiny classifiers of random weights, one a family, and the image processors that their checkpoints come with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

SIZE = 32  # pixels, of the image that most of the networks see
LABELS = {number: f"thing {number}" for number in range(7)}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class Family:
    """A network as one of the families might be published.

    Attributes:
        model: the name of its class.
        config: arguments of its configuration.
        processor: the name of its image processor, and its arguments.
        head: dotted names of the linear layers that make its logits.
        features: width of what the head gets.
        groups: the names of its layer groups in order, without the head.
        size: of its images, in pixels.
        text: it reads texts too: `config` is that of its vision part.
        wrapped_in_timm: it is one of timm's, which transformers wraps.
    """

    model: str
    config: dict[str, Any]
    processor: tuple[str, dict[str, Any]]
    head: tuple[str, ...]
    features: int
    groups: tuple[str, ...]
    size: int = SIZE
    text: bool = False
    timm: dict[str, Any] = field(default_factory=dict)

    def make(self, seed: int = 0, labels: dict[int, str] | None = None, **changes: Any) -> PreTrainedModel:
        """The network in eval mode, with weights and statistics that no initialisation makes."""
        labels = labels or LABELS
        kind = getattr(transformers, self.model)
        values: dict[str, Any] = {**self.config, **changes}
        if self.text:
            values = {"vision_config": values, "text_config": {"hidden_size": 8, "num_hidden_layers": 1}}
        names = {"id2label": labels, "label2id": {name: number for number, name in labels.items()}}
        torch.manual_seed(seed)
        model = kind(kind.config_class(**values, num_labels=len(labels), **names))
        scramble(model)
        if self.timm:
            model.config.pretrained_cfg = {**self.timm, "input_size": [3, self.size, self.size]}
        return model.eval()

    def save(self, folder: Path, **changes: Any) -> PreTrainedModel:
        """The network, saved with its processor as on the Hub."""
        model = self.make(**changes)
        model.save_pretrained(folder)
        name, values = self.processor
        if name:
            getattr(transformers, name)(**values).save_pretrained(folder)
        return model


@torch.no_grad()
def scramble(model: torch.nn.Module) -> None:
    """Give every parameter that is constant, and every running statistic, a value that shows when it is lost."""
    for parameter in model.parameters():
        if parameter.numel() > 1 and parameter.std() == 0:
            parameter += 0.1 * torch.randn_like(parameter)
        if parameter.ndim > 1 and parameter.std() < 0.1:
            parameter *= 0.2 / max(float(parameter.std()), 1e-3)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)


def square(size: int = SIZE, **values: Any) -> dict[str, Any]:
    return {"size": {"height": size, "width": size}, **IMAGENET, **values}


def cropped(size: int = SIZE, edge: int | None = None, **values: Any) -> dict[str, Any]:
    return {
        "size": {"shortest_edge": edge or size * 8 // 7},
        "crop_size": {"height": size, "width": size},
        **IMAGENET,
        **values,
    }


def numbered(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}.{number}" for number in range(count))


VIT = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": SIZE,
    "patch_size": 8,
}
TIMM = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "interpolation": "bicubic", "crop_pct": 0.875}

FAMILIES = {
    "resnet": Family(
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        ("ConvNextImageProcessor", {"size": {"shortest_edge": SIZE}, **IMAGENET}),
        ("classifier.1",),
        16,
        ("resnet.embedder", *numbered("resnet.encoder.stages", 2)),
    ),
    "vit": Family(
        "ViTForImageClassification",
        VIT,
        ("ViTImageProcessor", square()),
        ("classifier",),
        8,
        ("vit.embeddings", *numbered("vit.layers", 2)),
    ),
    "deit": Family(
        "DeiTForImageClassification",
        VIT,
        ("DeiTImageProcessor", {**cropped(), "size": {"height": 36, "width": 36}}),
        ("classifier",),
        8,
        ("deit.embeddings", *numbered("deit.layers", 2)),
    ),
    "deit-with-teacher": Family(
        "DeiTForImageClassificationWithTeacher",
        VIT,
        ("DeiTImageProcessor", {**cropped(), "size": {"height": 36, "width": 36}}),
        ("cls_classifier", "distillation_classifier"),
        16,
        ("deit.embeddings", *numbered("deit.layers", 2)),
    ),
    "beit": Family(
        "BeitForImageClassification",
        {**VIT, "use_relative_position_bias": True},
        ("BeitImageProcessor", cropped(size=SIZE) | {"size": {"height": 36, "width": 36}}),
        ("classifier",),
        8,
        ("beit.embeddings", *numbered("beit.encoder.layer", 2)),
    ),
    "dinov2": Family(
        "Dinov2ForImageClassification",
        VIT,
        ("BitImageProcessor", cropped()),
        ("classifier",),
        16,
        ("dinov2.embeddings", *numbered("dinov2.encoder.layer", 2)),
    ),
    "convnext": Family(
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 2, 1], "image_size": SIZE},
        ("ConvNextImageProcessor", {"size": {"shortest_edge": SIZE}, **IMAGENET}),
        ("classifier",),
        16,
        ("convnext.embeddings", *numbered("convnext.encoder.stages", 4)),
    ),
    "swin": Family(
        "SwinForImageClassification",
        {
            "image_size": SIZE,
            "patch_size": 2,
            "embed_dim": 8,
            "depths": [2, 2],
            "num_heads": [2, 2],
            "window_size": 4,
        },
        ("ViTImageProcessor", square()),
        ("classifier",),
        16,
        ("swin.embeddings", *numbered("swin.encoder.layers", 2)),
    ),
    "mobilenet-v2": Family(
        "MobileNetV2ForImageClassification",
        {"image_size": SIZE, "depth_multiplier": 0.1, "depth_divisible_by": 2, "min_depth": 4},
        ("MobileNetV2ImageProcessor", cropped()),
        ("classifier",),
        1280,
        ("mobilenet_v2.conv_stem", *numbered("mobilenet_v2.layer", 16)),
    ),
    "efficientnet": Family(
        "EfficientNetForImageClassification",
        {
            "image_size": SIZE,
            "width_coefficient": 0.1,
            "depth_coefficient": 0.3,
            "depth_divisor": 4,
            "hidden_dim": 128,
        },
        ("EfficientNetImageProcessor", square()),
        ("classifier",),
        128,
        ("efficientnet.embeddings", *numbered("efficientnet.encoder.blocks", 8)),
    ),
}

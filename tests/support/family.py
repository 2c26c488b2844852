"""Tiny classifiers of random weights, one a family, and the image processors that their checkpoints come with."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
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
        timm: what timm's own configuration says of its images, where it is one of timm's.
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
        images = np.random.default_rng(0).integers(0, 256, (32, 4, 4, 3), dtype=np.uint8)
        pixels = self.make_processor()(images=[Image.fromarray(pixels) for pixels in images], return_tensors="pt")
        scramble(model, pixels["pixel_values"])
        if self.timm:
            model.config.pretrained_cfg = self.pretrained_cfg
        return model.eval()

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """What timm's configuration says of the images."""
        return {**self.timm, "input_size": [3, self.size, self.size]}

    def make_processor(self) -> Any:
        """The image processor."""
        if self.timm:
            return transformers.TimmWrapperImageProcessor(pretrained_cfg=self.pretrained_cfg)
        name, values = self.processor
        return getattr(transformers, name)(**values)

    def save(self, folder: Path, **changes: Any) -> PreTrainedModel:
        """The network, saved with its processor as on the Hub."""
        model = self.make(**changes)
        model.save_pretrained(folder)
        if self.timm:
            config = json.loads((folder / "config.json").read_text())
            names = ("architecture", "model_args", "pretrained_cfg", "label_names", "num_classes")
            (folder / "config.json").write_text(json.dumps({name: config[name] for name in names}))
        else:
            self.make_processor().save_pretrained(folder)
        return model


@torch.no_grad()
def scramble(model: torch.nn.Module, pixels: torch.Tensor) -> None:
    """Give every parameter and running statistic a value that no initialisation gives, and that lets a signal pass."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 1.5 * (parameter[0].numel()) ** -0.5)
        elif parameter.numel() > 1:
            parameter += 0.1 * torch.randn_like(parameter)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.momentum = 1.0
    if norms:
        model.train()(pixels)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum


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

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
        ("beit.embeddings", *numbered("beit.layers", 2)),
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
    "convnext-v2": Family(
        "ConvNextV2ForImageClassification",
        {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 2, 1], "image_size": SIZE},
        ("ConvNextImageProcessor", {"size": {"shortest_edge": SIZE}, **IMAGENET}),
        ("classifier",),
        16,
        ("convnextv2.embeddings", *numbered("convnextv2.encoder.stages", 4)),
    ),
    "swin-v2": Family(
        "Swinv2ForImageClassification",
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
        ("swinv2.embeddings", *numbered("swinv2.encoder.layers", 2)),
    ),
    "data2vec": Family(
        "Data2VecVisionForImageClassification",
        {**VIT, "use_relative_position_bias": True},
        ("BeitImageProcessor", square()),
        ("classifier",),
        8,
        ("data2vec_vision.embeddings", *numbered("data2vec_vision.encoder.layer", 2)),
    ),
    "dinov2-with-registers": Family(
        "Dinov2WithRegistersForImageClassification",
        VIT,
        ("BitImageProcessor", cropped()),
        ("classifier",),
        16,
        ("dinov2_with_registers.embeddings", *numbered("dinov2_with_registers.encoder.layer", 2)),
    ),
    "vit-msn": Family(
        "ViTMSNForImageClassification",
        VIT,
        ("ViTImageProcessor", square()),
        ("classifier",),
        8,
        ("vit.embeddings", *numbered("vit.layers", 2)),
    ),
    "ijepa": Family(
        "IJepaForImageClassification",
        VIT,
        ("ViTImageProcessor", square()),
        ("classifier",),
        8,
        ("ijepa.embeddings", *numbered("ijepa.layers", 2)),
    ),
    "clip": Family(
        "CLIPForImageClassification",
        VIT,
        ("CLIPImageProcessor", cropped(edge=SIZE)),
        ("classifier",),
        8,
        ("vision_model.embeddings", *numbered("vision_model.encoder.layers", 2)),
        text=True,
    ),
    "siglip": Family(
        "SiglipForImageClassification",
        VIT,
        ("SiglipImageProcessor", square()),
        ("classifier",),
        8,
        ("vision_model.embeddings", *numbered("vision_model.encoder.layers", 2)),
        text=True,
    ),
    "mobilenet-v1": Family(
        "MobileNetV1ForImageClassification",
        {"image_size": SIZE, "depth_multiplier": 0.05, "min_depth": 8, "classifier_dropout_prob": 0.1},
        ("MobileNetV1ImageProcessor", cropped()),
        ("classifier",),
        51,
        ("mobilenet_v1.conv_stem", *numbered("mobilenet_v1.layer", 26)),
    ),
    "mobilevit": Family(
        "MobileViTForImageClassification",
        {
            "image_size": SIZE,
            "hidden_sizes": [8, 8, 8],
            "neck_hidden_sizes": [4, 4, 8, 8, 8, 8, 16],
            "num_attention_heads": 2,
        },
        ("MobileViTImageProcessor", {"size": {"shortest_edge": 36}, "crop_size": {"height": SIZE, "width": SIZE}}),
        ("classifier",),
        16,
        ("mobilevit.conv_stem", *numbered("mobilevit.encoder.layer", 5)),
    ),
    "mobilevit-v2": Family(
        "MobileViTV2ForImageClassification",
        {"image_size": 64, "width_multiplier": 0.1, "base_attn_unit_dims": [16, 16, 16]},
        ("MobileViTImageProcessor", {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
        ("classifier",),
        48,
        ("mobilevitv2.conv_stem", *numbered("mobilevitv2.encoder.layer", 5)),
        size=64,
    ),
    "regnet": Family(
        "RegNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 4},
        ("ConvNextImageProcessor", {"size": {"shortest_edge": SIZE}, **IMAGENET}),
        ("classifier.1",),
        16,
        ("regnet.embedder", *numbered("regnet.encoder.stages", 2)),
    ),
    "bit": Family(
        "BitForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [32, 32], "depths": [1, 1], "num_groups": 4},
        ("BitImageProcessor", cropped()),
        ("classifier.1",),
        32,
        ("bit.embedder", *numbered("bit.encoder.stages", 2)),
    ),
    "pvt": Family(
        "PvtForImageClassification",
        {
            "image_size": SIZE,
            "hidden_sizes": [4, 8, 8, 8],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 2],
            "sequence_reduction_ratios": [4, 2, 1, 1],
            "mlp_ratios": [2, 2, 2, 2],
        },
        ("PvtImageProcessor", square()),
        ("classifier",),
        8,
        ("pvt.encoder.patch_embeddings.0", *numbered("pvt.encoder.block", 4)[1:]),
    ),
    "pvt-v2": Family(
        "PvtV2ForImageClassification",
        {
            "image_size": SIZE,
            "hidden_sizes": [4, 8, 8, 8],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 2],
            "mlp_ratios": [2, 2, 2, 2],
        },
        ("PvtImageProcessor", square()),
        ("classifier",),
        8,
        numbered("pvt_v2.encoder.layers", 4),
    ),
    "poolformer": Family(
        "PoolFormerForImageClassification",
        {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
        (
            "PoolFormerImageProcessor",
            {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}, **IMAGENET},
        ),
        ("classifier",),
        16,
        (
            "poolformer.encoder.patch_embeddings.0",
            "poolformer.encoder.block.1",
            "poolformer.encoder.block.2",
            "poolformer.encoder.patch_embeddings.3",
        ),
    ),
    "segformer": Family(
        "SegformerForImageClassification",
        {
            "hidden_sizes": [4, 8, 8, 8],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 2],
            "mlp_ratios": [2, 2, 2, 2],
        },
        ("SegformerImageProcessor", square()),
        ("classifier",),
        8,
        numbered("segformer.stages", 4),
    ),
    "levit": Family(
        "LevitForImageClassification",
        {
            "image_size": 64,
            "hidden_sizes": [8, 12, 16],
            "num_attention_heads": [1, 1, 2],
            "depths": [1, 1, 1],
            "key_dim": [4, 4, 4],
        },
        ("LevitImageProcessor", {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}),
        ("classifier.linear",),
        16,
        ("levit.patch_embeddings", *numbered("levit.encoder.stages", 3)),
        size=64,
    ),
    "levit-with-teacher": Family(
        "LevitForImageClassificationWithTeacher",
        {
            "image_size": 64,
            "hidden_sizes": [8, 12, 16],
            "num_attention_heads": [1, 1, 2],
            "depths": [1, 1, 1],
            "key_dim": [4, 4, 4],
        },
        ("LevitImageProcessor", {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}),
        ("classifier.linear", "classifier_distill.linear"),
        32,
        ("levit.patch_embeddings", *numbered("levit.encoder.stages", 3)),
        size=64,
    ),
    "swiftformer": Family(
        "SwiftFormerForImageClassification",
        {"image_size": SIZE, "depths": [1, 1, 1, 1], "embed_dims": [8, 8, 12, 16]},
        ("ViTImageProcessor", square()),
        ("head", "dist_head"),
        32,
        ("swiftformer.patch_embed", *numbered("swiftformer.encoder.network", 7)),
    ),
    "hiera": Family(
        "HieraForImageClassification",
        {
            "image_size": [SIZE, SIZE],
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "query_stride": [2, 2],
            "masked_unit_size": [4, 4],
            "num_query_pool": 1,
        },
        ("BitImageProcessor", cropped()),
        ("classifier",),
        16,
        ("hiera.embeddings", *numbered("hiera.encoder.stages", 2)),
    ),
    "focalnet": Family(
        "FocalNetForImageClassification",
        {
            "image_size": SIZE,
            "embed_dim": 8,
            "hidden_sizes": [8, 16],
            "depths": [1, 1],
            "focal_levels": [1, 1],
            "focal_windows": [3, 3],
        },
        ("BitImageProcessor", cropped()),
        ("classifier",),
        16,
        ("focalnet.embeddings", *numbered("focalnet.encoder.stages", 2)),
    ),
    "cvt": Family(
        "CvtForImageClassification",
        {
            "embed_dim": [8, 8, 16],
            "num_heads": [1, 2, 2],
            "depth": [1, 2, 3],
        },
        ("ConvNextImageProcessor", {"size": {"shortest_edge": SIZE}, **IMAGENET}),
        ("classifier",),
        16,
        numbered("cvt.encoder.stages", 3),
    ),
    "hgnet-v2": Family(
        "HGNetV2ForImageClassification",
        {
            "embedding_size": 8,
            "hidden_sizes": [8, 16, 16, 16],
            "depths": [1, 1, 1, 1],
            "stem_channels": [3, 4, 8],
            "stage_in_channels": [8, 8, 16, 16],
            "stage_mid_channels": [4, 4, 4, 4],
            "stage_out_channels": [8, 16, 16, 16],
            "stage_num_blocks": [1, 1, 1, 1],
            "stage_numb_of_layers": [1, 1, 1, 1],
        },
        ("ViTImageProcessor", square()),
        ("fc",),
        16,
        ("embedder", *numbered("encoder.stages", 4)),
    ),
    "timm-resnet": Family(
        "TimmWrapperForImageClassification",
        {"architecture": "test_resnet", "model_args": {"channels": [8, 8, 8, 8]}},
        ("", {}),
        ("timm_model.fc",),
        8,
        ("timm_model.conv1", *(f"timm_model.layer{number}" for number in range(1, 5))),
        timm=TIMM,
    ),
    "timm-vit": Family(
        "TimmWrapperForImageClassification",
        {
            "architecture": "vit_tiny_patch16_224",
            "model_args": {"embed_dim": 12, "depth": 2, "img_size": SIZE, "patch_size": 8},
        },
        ("", {}),
        ("timm_model.head",),
        12,
        ("timm_model.patch_embed", *numbered("timm_model.blocks", 2)),
        timm={**TIMM, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9},
    ),
    "timm-deit-distilled": Family(
        "TimmWrapperForImageClassification",
        {
            "architecture": "deit_tiny_distilled_patch16_224",
            "model_args": {"embed_dim": 12, "depth": 2, "img_size": SIZE, "patch_size": 8},
        },
        ("", {}),
        ("timm_model.head", "timm_model.head_dist"),
        24,
        ("timm_model.patch_embed", *numbered("timm_model.blocks", 2)),
        timm=TIMM,
    ),
    "timm-convnext": Family(
        "TimmWrapperForImageClassification",
        {"architecture": "test_convnext", "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 16]}},
        ("", {}),
        ("timm_model.head.fc",),
        16,
        ("timm_model.stem", *numbered("timm_model.stages", 4)),
        timm=TIMM,
    ),
    "timm-swin": Family(
        "TimmWrapperForImageClassification",
        {
            "architecture": "swin_tiny_patch4_window7_224",
            "model_args": {
                "embed_dim": 8,
                "depths": [2, 2],
                "num_heads": [1, 2],
                "img_size": SIZE,
                "patch_size": 2,
                "window_size": 4,
            },
        },
        ("", {}),
        ("timm_model.head.fc",),
        16,
        ("timm_model.patch_embed", *numbered("timm_model.layers", 2)),
        timm=TIMM,
    ),
    "timm-efficientnet": Family(
        "TimmWrapperForImageClassification",
        {"architecture": "test_efficientnet", "model_args": {}},
        ("", {}),
        ("timm_model.classifier",),
        256,
        ("timm_model.conv_stem", *numbered("timm_model.blocks", 5)),
        timm=TIMM,
    ),
}

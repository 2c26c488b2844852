"""Describe a saved model by its `config.json` and its `preprocessor_config.json`."""

from typing import Any

_RESNETS = {
    ("basic", (2, 2, 2, 2)): "ResNet-18",
    ("basic", (3, 4, 6, 3)): "ResNet-34",
    ("bottleneck", (3, 4, 6, 3)): "ResNet-50",
    ("bottleneck", (3, 4, 23, 3)): "ResNet-101",
    ("bottleneck", (3, 8, 36, 3)): "ResNet-152",
}
_RESNET_WIDTHS = {"basic": 512, "bottleneck": 2048}
_VITS = {(192, 12): "Ti", (384, 12): "S", (768, 12): "B", (1024, 24): "L", (1280, 32): "H"}
_RESAMPLING = {0: "nearest", 1: "Lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "Hamming"}


def architecture(config: dict[str, Any]) -> str:
    """Return the usual name of a network, such as `ResNet-18` or `ViT-B/16`, or else the name of its class.

    Args:
        config: the content of a `config.json`.
    """
    kind = config.get("model_type")
    if kind == "resnet":
        layer = config.get("layer_type", "bottleneck")
        name = _RESNETS.get((layer, tuple(config.get("depths", ()))), "ResNet")
        narrow = name != "ResNet" and config["hidden_sizes"][-1] < _RESNET_WIDTHS[layer]
        return f"narrow {name}" if narrow else name
    if kind == "vit":
        size = _VITS.get((config.get("hidden_size", 0), config.get("num_hidden_layers", 0)))
        return f"ViT-{size}/{config['patch_size']}" if size else "ViT"
    name = str((config.get("architectures") or ["image classifier"])[0])
    return name.removesuffix("ForImageClassification")


def input_size(processor: dict[str, Any]) -> tuple[int, int] | None:
    """Return the height and width of the network's input in pixels, or None where the processor does not say.

    Args:
        processor: the content of a `preprocessor_config.json`.
    """
    size = processor.get("crop_size") if processor.get("do_center_crop") else processor.get("size")
    if not isinstance(size, dict):
        return None
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return (int(size["height"]), int(size["width"])) if {"height", "width"} <= set(size) else None


def preprocessing(processor: dict[str, Any]) -> list[str]:
    """Return the steps of an image processor in words, in order."""
    steps = ["converted to RGB"]
    size, crop = processor.get("size"), processor.get("crop_size")
    if processor.get("do_resize") and isinstance(size, dict):
        edge = size.get("shortest_edge")
        shape = f"{size.get('width')}x{size.get('height')}" if edge is None else f"a shorter edge of {edge}"
        resampling = _RESAMPLING.get(int(processor.get("resample") or 0), "")
        margin = f", center crop of {processor['crop_pct']:g}" if processor.get("crop_pct") else ""
        steps.append(f"resized to {shape} pixels ({resampling}{margin})")
    if processor.get("do_center_crop") and isinstance(crop, dict):
        steps.append(f"center-cropped to {crop['width']}x{crop['height']} pixels")
    if processor.get("do_rescale"):
        steps.append("scaled to [0, 1]")
    if processor.get("do_normalize") and "image_mean" in processor:
        mean, std = (_numbers(processor[key]) for key in ("image_mean", "image_std"))
        steps.append(f"normalized with mean ({mean}) and standard deviation ({std})")
    return steps


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:.6g}" for value in (values if isinstance(values, list) else [values]))

"""Say what an image processor does to an image, in steps that the page can do too."""

from typing import Any

from hf_cifar.errors import InputError

# Processors whose files say everything that they do: resize, crop, rescale, normalise.
PLAIN = ("ViT", "DeiT", "Bit", "CLIP", "Beit", "Pvt", "Siglip")
CONVNEXT = "ConvNext"
WARPED = 384  # pixels; an edge of so many is resized to without a margin
FILTERS = {2: "bilinear", 3: "bicubic"}


def page_steps(processor: dict[str, Any]) -> dict[str, Any]:
    """Return the steps of a processor, as `pixels.js` takes them.

    Args:
        processor: the content of a `preprocessor_config.json`.

    Raises:
        InputError: it does something that the page does not.
    """
    kind = str(processor.get("image_processor_type") or "").removesuffix("Fast").removesuffix("ImageProcessor")
    if kind not in (*PLAIN, CONVNEXT):
        raise InputError(f"--space: the page cannot do what {kind or 'its'} image processor does: push without --space")
    rescales, normalizes = (bool(processor.get(name)) for name in ("do_rescale", "do_normalize"))
    if processor.get("do_pad") or (kind == CONVNEXT and processor.get("do_center_crop")):
        raise InputError("--space: the page neither pads nor crops twice: push without --space")
    crop = processor["crop_size"] if processor.get("do_center_crop") else None
    steps: dict[str, Any] = {
        "resize": None,
        "crop": _shape(crop) if crop else None,
        "scale": float(processor["rescale_factor"]) if rescales else 1.0,
        "mean": list(processor["image_mean"]) if normalizes else [0.0] * 3,
        "std": list(processor["image_std"]) if normalizes else [1.0] * 3,
    }
    if processor.get("do_resize"):
        size, resample = processor["size"], processor.get("resample")
        if resample not in FILTERS:
            raise InputError(f"--space: the page has no resize filter {resample}: push without --space")
        steps["resize"] = {**_shape(size), "filter": FILTERS[int(resample)]}
        if kind == CONVNEXT:
            edge = int(size["shortest_edge"])
            square = {"height": edge, "width": edge}
            resized = square if edge >= WARPED else {"shortest_edge": int(edge / processor["crop_pct"])}
            steps |= {"resize": {**resized, "filter": FILTERS[int(resample)]}, "crop": square}
    return steps


def _shape(size: dict[str, Any]) -> dict[str, int]:
    names = set(size)
    if names not in ({"shortest_edge"}, {"height", "width"}):
        raise InputError(f"--space: the page cannot resize to {size}: push without --space")
    return {name: int(value) for name, value in size.items()}

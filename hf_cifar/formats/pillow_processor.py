"""Make a network's pixels as its saved image processor does, with numpy and Pillow alone.

Sizes, crops and the arithmetic of rescaling and normalising are those of transformers to the last bit. Its resize is
torchvision's, which rounds otherwise than Pillow's: a pixel may differ by one level of 255, seldom by two. timm's is
Pillow's own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from hf_cifar.errors import InputError

Size = tuple[int, int]  # height, width
KIND = "image_processor_type"
TIMM = "TimmWrapperImageProcessor"
# Filters in which torchvision and Pillow differ by no more than rounding; of two nearest pixels they take others.
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)

# What a file of transformers' processors must say, and what it may: a missing key would be a default of some version.
_REQUIRED = ("do_resize", "size", "resample", "do_rescale", "rescale_factor")
_OPTIONAL = ("do_center_crop", "crop_size", "do_normalize", "image_mean", "image_std", "do_convert_rgb")
_TIMM_KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
# Of no influence on the pixels of an RGB image, with the values that they may have.
_INERT: dict[str, tuple[Any, ...]] = {
    "do_reduce_labels": (False, True),
    "default_to_square": (False, True),
    "do_pad": (False,),
    "data_format": ("channels_first",),
}


@dataclass(frozen=True)
class _Kind:
    """What a class of processors does otherwise than most.

    Attributes:
        keys: of its own.
        edge: the shortest edge to resize to, of the one in `size` and the file's values; default: that one.
        centers: it looks at `do_center_crop`, which then must be said.
        normalizes: it looks at `do_normalize`, which then must be said.
    """

    keys: tuple[str, ...] = ()
    edge: Callable[[int, dict[str, Any]], int] | None = None
    centers: bool = False
    normalizes: bool = True


def _by_crop_pct(edge: int, values: dict[str, Any]) -> int:
    return int(edge / values["crop_pct"])


_CENTERS = _Kind(centers=True)
KINDS = {
    "ViTImageProcessor": _Kind(),
    "PvtImageProcessor": _Kind(),
    "SiglipImageProcessor": _Kind(),
    "SegformerImageProcessor": _Kind(),
    "BeitImageProcessor": _CENTERS,
    "BitImageProcessor": _CENTERS,
    "CLIPImageProcessor": _CENTERS,
    "DeiTImageProcessor": _CENTERS,
    "MobileNetV1ImageProcessor": _CENTERS,
    "MobileNetV2ImageProcessor": _CENTERS,
    "ConvNextImageProcessor": _Kind(("crop_pct",)),
    "EfficientNetImageProcessor": _Kind(("rescale_offset", "include_top"), centers=True),
    "LevitImageProcessor": _Kind((), lambda edge, values: int((256 / 224) * edge), centers=True),
    "MobileViTImageProcessor": _Kind(("do_flip_channel_order",), centers=True, normalizes=False),
    "PoolFormerImageProcessor": _Kind(("crop_pct",), _by_crop_pct, centers=True),
}
CONVNEXT, EFFICIENTNET, POOLFORMER = (f"{name}ImageProcessor" for name in ("ConvNext", "EfficientNet", "PoolFormer"))
WARPED = 384  # ConvNext's crops no image of this edge or more


class PillowProcessor:
    """Maps an RGB image to the network's input.

    Args:
        values: the content of a `preprocessor_config.json`.
        title: of the model in messages.

    Raises:
        InputError: the class of the processor, a key or a value is not one whose pixels are known.
    """

    def __init__(self, values: dict[str, Any], title: str) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        self._title = title
        self.kind = str(given.pop(KIND, "")).removesuffix("Fast")
        if self.kind == TIMM:
            given.pop("architecture", None)
            self._read_timm(given)
        elif self.kind in KINDS:
            self._read(given)
        else:
            self._refuse(f"is of the class {self.kind or 'None'}, whose pixels need transformers")
        self._values = given

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the pixels of an RGB image, float32 [3, height, width]."""
        if self.kind == TIMM:
            return self._pixels_of_timm(image)
        values = self._values
        crop = _size_of(values["crop_size"]) if values.get("do_center_crop") else None
        if values["do_resize"]:
            size, own_crop = self._resized_size((image.height, image.width))
            pixels = np.asarray(_resized(image, size, values["resample"]))
            if own_crop is not None:
                pixels = _center_cropped(pixels, own_crop)
        else:
            pixels = np.asarray(image)
        if crop is not None and self.kind != "SegformerImageProcessor":
            pixels = _center_cropped(pixels, crop)
        return self._normalized(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def _read(self, given: dict[str, Any]) -> None:
        kind = KINDS[self.kind]
        for name, allowed in _INERT.items():
            if given.get(name, allowed[0]) not in allowed:
                self._refuse(f"has {name} {given[name]}, whose pixels need transformers")
            given.pop(name, None)
        required = [*_REQUIRED, *kind.keys, *["do_center_crop"] * kind.centers, *["do_normalize"] * kind.normalizes]
        required += ["crop_size"] * bool(given.get("do_center_crop"))
        required += ["image_mean", "image_std"] * bool(kind.normalizes and given.get("do_normalize"))
        self._check_keys(given, required, (*required, *_OPTIONAL))
        shapes = [("shortest_edge",)] if self.kind == CONVNEXT else [("shortest_edge",), ("height", "width")]
        if _names(given["size"]) not in shapes:
            self._refuse(f"resizes to {given['size']}, which needs transformers")
        if given.get("do_center_crop") and _names(given["crop_size"]) != ("height", "width"):
            self._refuse(f"crops to {given['crop_size']}, which needs transformers")
        if given["resample"] not in FILTERS:
            self._refuse(f"resizes with the filter {given['resample']}, which needs transformers")
        if self.kind == EFFICIENTNET and not (given["do_rescale"] and given["do_normalize"]):
            self._refuse("neither rescales nor normalises, which needs transformers")

    def _read_timm(self, given: dict[str, Any]) -> None:
        self._check_keys(given, ["data_config"], ["data_config"])
        config = given["data_config"]
        self._check_keys(config, _TIMM_KEYS, _TIMM_KEYS)
        channels, height, width = config["input_size"]
        if channels != 3 or height != width or config["crop_mode"] not in ("center", "squash"):
            self._refuse(f"makes {config['input_size']} by the crop mode {config['crop_mode']}, which needs timm")
        if config["interpolation"] not in {item.name.lower() for item in Image.Resampling}:
            self._refuse(f"resizes with the filter {config['interpolation']}, which needs timm")

    def _check_keys(self, given: dict[str, Any], required: Any, known: Any) -> None:
        unknown, missing = sorted(set(given) - set(known)), sorted(set(required) - set(given))
        if unknown:
            self._refuse(f"has the key {unknown[0]}, whose effect on the pixels needs transformers")
        if missing:
            self._refuse(f"lacks the key {missing[0]}, whose default needs transformers")

    def _refuse(self, fault: str) -> None:
        raise InputError(f"the image processor of {self._title} {fault}: pip install 'hf_cifar[train]'")

    def _resized_size(self, size: Size) -> tuple[Size, Size | None]:
        """Return the size that an image is resized to, and what the resize itself crops to."""
        wanted, kind = self._values["size"], KINDS[self.kind]
        if self.kind == CONVNEXT:
            edge = int(wanted["shortest_edge"])
            if edge >= WARPED:
                return (edge, edge), None
            return _by_shortest_edge(size, _by_crop_pct(edge, self._values)), (edge, edge)
        if self.kind == POOLFORMER and "height" in wanted:
            height, width = (_by_crop_pct(wanted[name], self._values) for name in ("height", "width"))
            return (_by_shortest_edge(size, height) if height == width else (height, width)), None
        if "shortest_edge" not in wanted:
            return _size_of(wanted), None
        edge = int(wanted["shortest_edge"])
        return _by_shortest_edge(size, kind.edge(edge, self._values) if kind.edge else edge), None

    def _normalized(self, pixels: np.ndarray) -> np.ndarray:
        """Rescale and normalise uint8 [3, height, width] in float32, in one step where transformers does."""
        values, factor = self._values, self._values["rescale_factor"]
        normalizes = KINDS[self.kind].normalizes and values["do_normalize"]
        offset = bool(values.get("rescale_offset"))
        result = pixels.astype(np.float32)
        if values["do_rescale"] and (offset or not normalizes):
            result *= np.float32(factor)
            result -= np.float32(offset)
        if normalizes:
            mean, std = (_per_channel(values[name]) for name in ("image_mean", "image_std"))
            if values["do_rescale"] and not offset:
                mean, std = mean * np.float32(1.0 / factor), std * np.float32(1.0 / factor)
            result -= mean
            result /= std
        if values.get("include_top"):
            result /= _per_channel(values["image_std"])
        return np.ascontiguousarray(result[::-1]) if values.get("do_flip_channel_order") else result

    def _pixels_of_timm(self, image: Image.Image) -> np.ndarray:
        config = self._values["data_config"]
        side = int(config["input_size"][1])
        edge = math.floor(side / config["crop_pct"])
        size = (edge, edge) if config["crop_mode"] == "squash" else _by_shortest_edge((image.height, image.width), edge)
        resized = np.asarray(_resized(image, size, Image.Resampling[config["interpolation"].upper()]))
        pixels = _center_cropped(resized, (side, side), half=round).transpose(2, 0, 1).astype(np.float32)
        pixels = np.ascontiguousarray(pixels) / np.float32(255)
        pixels -= _per_channel(config["mean"])
        pixels /= _per_channel(config["std"])
        return pixels


def _names(size: Any) -> tuple[str, ...]:
    return tuple(sorted(size)) if isinstance(size, dict) else ()


def _size_of(values: dict[str, int]) -> Size:
    return int(values["height"]), int(values["width"])


def _by_shortest_edge(size: Size, edge: int) -> Size:
    """Return the size of an image whose shortest edge becomes `edge`, its proportions kept."""
    longest = int(edge * max(size) / min(size))
    return (longest, edge) if size[1] <= size[0] else (edge, longest)


def _resized(image: Image.Image, size: Size, resample: int) -> Image.Image:
    height, width = size
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling(resample))


def _center_cropped(pixels: np.ndarray, size: Size, half: Callable[[float], int] = int) -> np.ndarray:
    """Return the centre of an image [height, width, 3], with zeros around it where it is smaller.

    Args:
        pixels: of the image.
        size: of the centre.
        half: how half a pixel is rounded where the margins are not equal.
    """
    missing = [max(0, wanted - given) for wanted, given in zip(size, pixels.shape, strict=False)]
    if any(missing):
        pixels = np.pad(pixels, [*((side // 2, (side + 1) // 2) for side in missing), (0, 0)])
    top, left = (half((given - wanted) / 2) for wanted, given in zip(size, pixels.shape, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]


def _per_channel(values: Any) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(-1, 1, 1)

"""Show where a network looked: Grad-CAM by the pytorch-grad-cam library, on the last layer that still knows places.

Transformers get the same method, on their last tokens that the answer depends on. Source: Selvaraju et al., 2017,
https://arxiv.org/abs/1610.02391.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from transformers import PreTrainedModel

from hf_cifar.models.resize import EXTRA_TOKENS

SIDE = 224  # pixels, of the smallest picture that is shown
SHOWS_NO_PLACES = (nn.Dropout, nn.Softmax)  # attention weights have four dimensions too
MIN_SIDE = 2


@dataclass(frozen=True)
class PlaceLayer:
    """A layer whose output has places: a feature map, or the tokens of patches.

    Attributes:
        module: the layer.
        name: its dotted name in the model.
        is_tokens: whether its output is [n, tokens, width], and not a map.
        extra: tokens in front of those of the patches.
        channels_last: whether its map is [n, height, width, channels].
    """

    module: nn.Module
    name: str
    is_tokens: bool = False
    extra: int = 0
    channels_last: bool = False

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """Return an output of the layer as maps [n, channels, height, width]."""
        if self.is_tokens:
            patches = output[:, self.extra :]
            side = isqrt(patches.shape[1])
            return patches.transpose(1, 2).reshape(len(patches), -1, side, side)
        return output.permute(0, 3, 1, 2) if self.channels_last else output


class HeatMap:
    """Heat maps of one network.

    Args:
        model: in eval mode; its parameters get no gradients.
        processor: its image processor.
    """

    def __init__(self, model: PreTrainedModel, processor: Any) -> None:
        self._logits, self._processor = _Logits(model), processor
        # Chosen on noise: on a plain image a gradient may happen to be zero.
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        self.layer = _last_place_layer(self._logits, self._pixels(Image.fromarray(noise)))

    @property
    def method(self) -> str:
        """Return what the map is, in a few words."""
        if self.layer is None:
            return "this network keeps no places that a map could show"
        kind = "tokens" if self.layer.is_tokens else "feature map"
        return f"Grad-CAM on its last {kind}, {self.layer.name}"

    def draw(self, image: Image.Image, label: int) -> Image.Image | None:
        """Return what the network saw of an image, with what spoke for a label in warm colours.

        Args:
            image: RGB, at its own size.
            label: index of the class.

        Returns:
            A picture of at least 224 pixels a side; None for a network without places.
        """
        if self.layer is None:
            return None
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.image import show_cam_on_image
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        # With a gradient of the input the parameters need none.
        pixels = self._pixels(image).requires_grad_(True)
        with GradCAM(self._logits, [self.layer.module], self.layer.maps) as method:
            heat = method(pixels, [ClassifierOutputTarget(label)])[0]
        picture = show_cam_on_image(_visible(pixels[0].detach()), heat, use_rgb=True)
        factor = -(-SIDE // min(picture.shape[:2]))
        return Image.fromarray(picture).resize(
            (picture.shape[1] * factor, picture.shape[0] * factor), Image.Resampling.BILINEAR
        )

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        values = self._processor(images=[image], return_tensors="pt")["pixel_values"]
        pixels: torch.Tensor = values.to(self._logits.model.device, self._logits.model.dtype)
        return pixels


class _Logits(nn.Module):
    """A network whose output is its logits alone, as the library wants it."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(pixels).logits
        return logits


def _last_place_layer(network: _Logits, pixels: torch.Tensor) -> PlaceLayer | None:
    """Return the layer, latest in the pass, whose places have a say in the logits; None where there is none.

    The last tokens of a transformer with a class token have none but that one: the map is of the tokens before the
    last attention.
    """
    seen: list[tuple[PlaceLayer, torch.Tensor]] = []
    handles = []
    for name, module in network.model.named_modules():

        def look(module: nn.Module, _: Any, output: Any, name: str = name) -> None:
            layer = _as_place_layer(name, module, output)
            if layer is not None and output.requires_grad:
                seen.append((layer, output))

        handles.append(module.register_forward_hook(look))
    try:
        best = network(pixels.clone().requires_grad_(True)).max()
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        return None
    gradients = torch.autograd.grad(best, [output for _, output in seen], allow_unused=True)
    for (layer, _), gradient in zip(reversed(seen), reversed(gradients), strict=True):
        if gradient is not None and bool(layer.maps(gradient).abs().sum() > 0):
            return layer
    return None


def _as_place_layer(name: str, module: nn.Module, output: Any) -> PlaceLayer | None:
    if not isinstance(output, torch.Tensor) or len(output) != 1 or isinstance(module, SHOWS_NO_PLACES):
        return None
    if output.ndim == 4:
        _, first, second, third = output.shape
        last = first == second != third
        height, width = (first, second) if last else (second, third)
        return PlaceLayer(module, name, channels_last=last) if min(height, width) >= MIN_SIDE else None
    if output.ndim == 3 and "Norm" in type(module).__name__:
        for extra in EXTRA_TOKENS:
            side = isqrt(max(0, output.shape[1] - extra))
            if side >= MIN_SIDE and side**2 + extra == output.shape[1]:
                return PlaceLayer(module, name, is_tokens=True, extra=extra)
    return None


def _visible(pixels: torch.Tensor) -> np.ndarray:
    """Return normalised pixels [3, h, w] as a picture in [0, 1], float32 [h, w, 3]."""
    values = pixels.float().cpu().numpy().transpose(1, 2, 0)
    low, high = values.min(axis=(0, 1)), values.max(axis=(0, 1))
    return np.asarray((values - low) / np.maximum(high - low, 1e-6), dtype=np.float32)

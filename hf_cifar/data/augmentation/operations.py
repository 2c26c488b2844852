"""The operations of TrivialAugment and RandAugment on batches, with a magnitude for each image.

Each gives what the function of torchvision gives for one image and the same magnitude, bit for bit on the CPU.
"""

import math
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d, grid_sample
from torchvision.transforms.v2 import functional

Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LEVELS = 255.0


def shear_x(images: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Shift each row of an image in proportion to its distance from the top."""
    zero, one = torch.zeros_like(slopes), torch.ones_like(slopes)
    return _transform(images, [one, slopes, slopes * images.shape[-2] * 0.5, zero, one, zero])


def shear_y(images: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Shift each column of an image in proportion to its distance from the left."""
    zero, one = torch.zeros_like(slopes), torch.ones_like(slopes)
    return _transform(images, [one, zero, zero, slopes, one, slopes * images.shape[-1] * 0.5])


def translate_x(images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Shift images to the right by whole pixels."""
    zero, one = torch.zeros_like(pixels), torch.ones_like(pixels)
    return _transform(images, [one, zero, -pixels.trunc(), zero, one, zero])


def translate_y(images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Shift images down by whole pixels."""
    zero, one = torch.zeros_like(pixels), torch.ones_like(pixels)
    return _transform(images, [one, zero, zero, zero, one, -pixels.trunc()])


def rotate(images: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Rotate images counter-clockwise about their middle."""
    # In [0, 360) and with this sign as in torchvision, whose rounding depends on both.
    angles = -torch.remainder(degrees, 360.0) * (math.pi / 180)
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return _transform(images, [cosine, sine, zero, -sine, cosine, zero])


def brightness(images: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Multiply images by 1 and their change."""
    return (images * _factors(changes)).clamp_(0, LEVELS).to(images.dtype)


def color(images: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Blend images with their grey versions."""
    return _blend(images, _grey(images), changes)


def contrast(images: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Blend images with their mean grey."""
    return _blend(images, _grey(images).mean(dim=(-3, -2, -1), keepdim=True), changes)


def sharpness(images: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Blend images with smoothed versions; the outermost pixels stay."""
    if min(images.shape[-2:]) <= 2:
        return images
    channels = images.shape[1]
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    values = images.float()
    inner = values[..., 1:-1, 1:-1]
    smooth = conv2d(values, (kernel / 13).expand(channels, 1, 3, 3), groups=channels).round_()
    inner.addcmul_(smooth.sub_(inner), (-changes).float()[:, None, None, None])
    return values.clamp_(0, LEVELS).to(images.dtype)


def posterize(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keep the highest bits of each value."""
    masks = 256 - 2 ** (8 - bits.long())
    return images & masks.to(torch.uint8)[:, None, None, None]


def solarize(images: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Invert the values from a threshold on, as a part of the largest value."""
    return torch.where(images >= (LEVELS * thresholds).float()[:, None, None, None], 255 - images, images)


def autocontrast(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """Stretch the values of each channel over the whole range."""
    return functional.autocontrast(images)


def equalize(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """Give each channel a flat histogram."""
    return functional.equalize(images)


OPERATIONS: dict[str, Operation] = {
    "ShearX": shear_x,
    "ShearY": shear_y,
    "TranslateX": translate_x,
    "TranslateY": translate_y,
    "Rotate": rotate,
    "Brightness": brightness,
    "Color": color,
    "Contrast": contrast,
    "Sharpness": sharpness,
    "Posterize": posterize,
    "Solarize": solarize,
    "AutoContrast": autocontrast,
    "Equalize": equalize,
}


def _transform(images: torch.Tensor, matrix: list[torch.Tensor]) -> torch.Tensor:
    """Return the nearest pixel at the place that an affine map gives, black outside of the image.

    Args:
        images: uint8 [n, 3, height, width].
        matrix: six columns, float64 [n], from places in the output to places in the input, in pixels from the middle.
    """
    height, width = images.shape[-2:]
    device = images.device
    theta = torch.stack(matrix, dim=1).float().view(-1, 2, 3)
    columns = torch.linspace((1 - width) / 2, (width - 1) / 2, width, device=device)
    rows = torch.linspace((1 - height) / 2, (height - 1) / 2, height, device=device)
    scaled = theta.transpose(1, 2) / torch.tensor([width / 2, height / 2], device=device)
    across, down, shift = scaled[:, None, None].unbind(3)
    # Term by term, since a matrix product may round otherwise in a larger batch.
    grid = columns[:, None] * across + rows[:, None, None] * down + shift
    moved = grid_sample(images.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved.round_().to(images.dtype)


def _blend(images: torch.Tensor, others: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Return images extrapolated away from others (change above 0) or towards them, in whole levels."""
    blended = (images * _factors(changes)).addcmul_(others, (-changes).float()[:, None, None, None])
    return blended.clamp_(0, LEVELS).to(images.dtype)


def _factors(changes: torch.Tensor) -> torch.Tensor:
    return (1 + changes).float()[:, None, None, None]


def _grey(images: torch.Tensor) -> torch.Tensor:
    """Return the luma (ITU-R BT.601) in whole levels, float32 [n, 1, height, width]."""
    red, green, blue = images.unbind(1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()[:, None]

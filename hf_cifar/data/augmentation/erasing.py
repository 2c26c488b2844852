"""Random erasing (Zhong et al., 2020): a rectangle of the network's input is blanked."""

import math
from dataclasses import dataclass

import torch

from hf_cifar.data.augmentation.draws import Draws, Purpose

AREA = (0.02, 0.33)  # of the image
RATIO = (0.3, 3.3)  # height to width
ATTEMPTS = 10  # at a rectangle that fits; an image for which none does stays as it is


@dataclass(frozen=True)
class Erasing:
    """Sets a rectangle of some images to 0, the mean colour, as torchvision's `RandomErasing` with its defaults.

    Attributes:
        probability: that an image loses one.
    """

    probability: float

    def draw(self, draws: Draws) -> torch.Tensor:
        """Return for n images numbers in [0, 1): whether, and for each attempt area, ratio, row and column, [n, 41]."""
        return torch.from_numpy(draws.uniform(Purpose.ERASING, 1 + 4 * ATTEMPTS))

    def apply(self, pixels: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Blank the rectangles of the network's input, float [n, 3, height, width], in place."""
        boxes = self.boxes(drawn, *pixels.shape[-2:])
        return pixels.masked_fill_(inside(boxes, *pixels.shape[-2:])[:, None], 0)

    def boxes(self, drawn: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return top, bottom, left and right of each rectangle, int64 [n, 4]; empty where nothing is erased."""
        area, ratio, row, column = drawn[:, 1:].view(len(drawn), ATTEMPTS, 4).unbind(-1)
        area = (AREA[0] + (AREA[1] - AREA[0]) * area) * (height * width)
        ratio = (math.log(RATIO[0]) + math.log(RATIO[1] / RATIO[0]) * ratio).exp()
        tall, wide = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
        fits = (tall < height) & (wide < width)
        first = fits.int().argmax(1, keepdim=True)
        top = (row * (height - tall + 1)).long()
        left = (column * (width - wide + 1)).long()
        erased = (drawn[:, :1] < self.probability) & fits.any(1, keepdim=True)
        sides = torch.stack([top, top + tall, left, left + wide], dim=-1)
        chosen = sides.gather(1, first[:, :, None].expand(-1, -1, 4))[:, 0]
        return torch.where(erased, chosen, torch.zeros_like(chosen))


def inside(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return which pixels are in a box each, bool [n, height, width].

    Args:
        boxes: top, bottom, left and right, [n, 4]; bottom and right are outside.
        height, width: of the images, in pixels.
    """
    top, bottom, left, right = boxes[:, :, None].unbind(1)
    rows = torch.arange(height, device=boxes.device)
    columns = torch.arange(width, device=boxes.device)
    vertical, horizontal = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return vertical[:, :, None] & horizontal[:, None, :]

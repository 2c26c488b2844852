"""MixUp (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import one_hot

from hf_cifar.data.augmentation.draws import Draws, Purpose
from hf_cifar.data.augmentation.erasing import inside


@dataclass(frozen=True)
class Mixing:
    """Mixes each image with the one before it in the order of the epoch, by MixUp or by CutMix.

    Weight, box and, where both are on, which of the two, are drawn for each image, and its partner is the one before
    it in the epoch and not in the batch: a step does not depend on how its batch is divided among processes.

    Attributes:
        mixup, cutmix: alpha of the beta distribution of the weight; 0 turns one off.
        num_classes: width of the targets.
    """

    mixup: float
    cutmix: float
    num_classes: int

    def draw(self, draws: Draws) -> dict[str, torch.Tensor]:
        """Return each image's `weight`, whether it is `cut`, and `row` and `column` of its box's middle in [0, 1)."""
        # Deferred: most runs mix nothing.
        from scipy.special import betaincinv

        numbers = draws.uniform(Purpose.MIXING, 4)
        cut = numbers[:, 0] < (0.5 if self.mixup and self.cutmix else float(self.cutmix > 0))
        alpha = np.where(cut, self.cutmix, self.mixup)
        weight, row, column = betaincinv(alpha, alpha, numbers[:, 1]), numbers[:, 2], numbers[:, 3]
        values = {"weight": weight, "cut": cut, "row": row, "column": column}
        return {name: torch.from_numpy(value) for name, value in values.items()}

    def apply(
        self, pixels: torch.Tensor, labels: torch.Tensor, drawn: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix each image but the first with the one before it.

        Args:
            pixels: float [n + 1, 3, height, width].
            labels: int64 [n + 1]; an image with a negative one has no target.
            drawn: for n images.

        Returns:
            The mixed images, float [n, 3, height, width], and their target distributions, float32 [n, classes].
        """
        height, width = pixels.shape[-2:]
        own, other = pixels[1:], pixels[:-1]
        boxes = self._boxes(drawn, height, width)
        area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
        weight = torch.where(drawn["cut"], 1 - area / (height * width), drawn["weight"])
        part = weight.to(pixels.dtype)[:, None, None, None]
        cut = drawn["cut"][:, None, None, None]
        mixed = torch.where(cut, torch.where(inside(boxes, height, width)[:, None], other, own), other.lerp(own, part))
        first, second = (one_hot(some.clamp_min(0), self.num_classes) for some in (labels[1:], labels[:-1]))
        targets = weight[:, None] * first + (1 - weight[:, None]) * second
        return mixed, (targets * (labels[1:] >= 0)[:, None]).float()

    @staticmethod
    def _boxes(drawn: Mapping[str, Any], height: int, width: int) -> torch.Tensor:
        """Return the box that the other image fills, clipped to the image: top, bottom, left, right, int64 [n, 4]."""
        half = 0.5 * (1 - drawn["weight"]).sqrt()
        sides = []
        for middle, length in (("row", height), ("column", width)):
            place, reach = (drawn[middle] * length).long(), (half * length).long()
            sides += [(place - reach).clamp(0, length), (place + reach).clamp(0, length)]
        return torch.stack(sides, dim=1)

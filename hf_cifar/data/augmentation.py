"""Variations of the training images, drawn by seed, epoch and image alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from torchvision.transforms import v2

Augmentation = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def drawn_by(*numbers: int) -> Iterator[None]:
    """Within it torch's draws depend on these numbers alone; outside they are as if it had not been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
        yield


@cache
def augmentation_for(name: str, height: int, width: int) -> Augmentation:
    """What `--augment` names, for uint8 images [3, height, width].

    `crop` shifts the image by up to an eighth of its side, as CIFAR's usual augmentation does (4 of 32 pixels);
    `standard` flips it too; `trivial` adds TrivialAugmentWide (Müller and Hutter, 2021), `rand` RandAugment
    (Cubuk et al., 2020) with torchvision's defaults.
    """
    padding = [round(width / 8), round(height / 8)]
    steps: list[torch.nn.Module] = [v2.RandomCrop((height, width), padding=padding)]
    if name != "crop":
        steps.append(v2.RandomHorizontalFlip())
    if name in EXTRA:
        steps.append(EXTRA[name]())
    return v2.Compose(steps)


EXTRA: dict[str, Callable[[], torch.nn.Module]] = {"trivial": v2.TrivialAugmentWide, "rand": v2.RandAugment}


class Mixing:
    """MixUp (Zhang et al., 2018), CutMix (Yun et al., 2019), or one of the two for each batch.

    Args:
        mixup, cutmix: their alpha; 0 leaves one out.
        num_classes: width of the targets.
        seed: with the epoch and the images of the batch it fixes every draw.
    """

    def __init__(self, mixup: float, cutmix: float, num_classes: int, seed: int) -> None:
        self.seed = seed
        self.num_classes = num_classes
        self.kinds = [
            kind(alpha=alpha, num_classes=num_classes)
            for kind, alpha in ((v2.MixUp, mixup), (v2.CutMix, cutmix))
            if alpha > 0
        ]

    def __call__(
        self, pixels: torch.Tensor, labels: torch.Tensor, numbers: Sequence[int], epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch with each image mixed with its neighbour.

        Args:
            pixels: float [n, 3, height, width].
            labels: int64 [n]; where one is negative (padding), nothing is mixed.
            numbers: one an image.
            epoch: from 0.

        Returns:
            float [n, 3, height, width], and float [n, classes], what the network is to answer.
        """
        if (labels < 0).any():
            return pixels, torch.zeros(len(labels), self.num_classes)
        with drawn_by(self.seed, epoch, *numbers):
            kind = self.kinds[int(torch.randint(len(self.kinds), ()))]
            mixed, targets = kind(pixels, labels)
        return mixed, targets

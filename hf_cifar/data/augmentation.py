"""Augmentation of training images, drawn by seed, epoch and image alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from torchvision.transforms import v2

from hf_cifar.utils.random_state import seeded_cpu

Augmentation = Callable[[torch.Tensor], torch.Tensor]
POLICIES: dict[str, Callable[[], torch.nn.Module]] = {"trivial": v2.TrivialAugmentWide, "rand": v2.RandAugment}


@contextmanager
def drawn_by(*key: int) -> Iterator[None]:
    """Make torch's draws on the CPU depend on a key alone within the block; no generator is changed outside it.

    Args:
        key: integers from 0, such as seed, epoch and row of the image.
    """
    with seeded_cpu(int(np.random.SeedSequence(key).generate_state(1)[0])):
        yield


@cache
def augmentation_for(name: str, height: int, width: int) -> Augmentation:
    """Return the augmentation that `--augment` names, for uint8 images [3, height, width].

    `crop` shifts the image by up to an eighth of its side, as CIFAR's usual augmentation does (4 of 32 pixels);
    `standard` flips it too; `trivial` adds TrivialAugmentWide (Müller and Hutter, 2021), `rand` RandAugment
    (Cubuk et al., 2020) with torchvision's defaults.
    """
    padding = [round(width / 8), round(height / 8)]
    steps: list[torch.nn.Module] = [v2.RandomCrop((height, width), padding=padding)]
    if name != "crop":
        steps.append(v2.RandomHorizontalFlip())
    if name in POLICIES:
        steps.append(POLICIES[name]())
    return v2.Compose(steps)


class Mixing:
    """MixUp (Zhang et al., 2018), CutMix (Yun et al., 2019), or one of the two for each batch.

    Args:
        mixup, cutmix: their alpha; 0 turns one off.
        num_classes: width of the targets.
        seed: with the epoch and the images of the batch it determines every draw.
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
        self, pixels: torch.Tensor, labels: torch.Tensor, rows: Sequence[int], epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix each image of a batch with its neighbour.

        Args:
            pixels: float [n, 3, height, width].
            labels: int64 [n]; if one is negative (padding), nothing is mixed.
            rows: of the images in their split, n.
            epoch: from 0.

        Returns:
            The mixed images, float [n, 3, height, width], and their target distributions, float [n, classes].
        """
        if (labels < 0).any():
            return pixels, torch.zeros(len(labels), self.num_classes)
        with drawn_by(self.seed, epoch, *rows):
            kind = self.kinds[int(torch.randint(len(self.kinds), ()))]
            mixed, targets = kind(pixels, labels)
        return mixed, targets

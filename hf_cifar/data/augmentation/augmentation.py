"""What training images go through: augmentation of their own pixels, erasing and mixing of the network's input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.augmentation.draws import Draws
from hf_cifar.data.augmentation.erasing import Erasing
from hf_cifar.data.augmentation.mixing import Mixing
from hf_cifar.data.augmentation.policies import POLICIES, Policy
from hf_cifar.data.augmentation.shift import Shift

NONE = "none"


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of a run. Drawing and applying are apart: drawing needs no pixels, applying no generator.

    Attributes:
        name: as of `--augment`: `crop` shifts images, `standard` flips them too, `trivial` adds TrivialAugmentWide
            (Müller and Hutter, 2021), `rand` RandAugment (Cubuk et al., 2020) with torchvision's defaults.
        seed: with the epoch and an image's row it determines every draw.
        erasing: blanks a rectangle of some images.
        mixing: MixUp and CutMix.
    """

    name: str = NONE
    seed: int = 0
    erasing: Erasing | None = None
    mixing: Mixing | None = None

    def draw(self, draws: Draws, height: int, width: int) -> dict[str, Any]:
        """Return what happens to the own pixels of n images [3, height, width]."""
        if self.name == NONE:
            return {}
        drawn: dict[str, Any] = {"shift": Shift(flips=self.name != "crop").draw(draws, height, width)}
        if self.name in POLICIES:
            drawn["policy"] = POLICIES[self.name].draw(draws, height, width)
        return drawn

    @staticmethod
    def apply(images: torch.Tensor, drawn: Mapping[str, Any]) -> torch.Tensor:
        """Return the augmented images, uint8 [n, 3, height, width]."""
        if "shift" in drawn:
            images = Shift.apply(images, drawn["shift"])
        if "policy" in drawn:
            images = Policy.apply(images, drawn["policy"])
        return images


def augmentation_of(config: RunConfig, stage: str, num_classes: int) -> Augmentation:
    """Return the augmentation of a training stage; only fine-tuning mixes.

    Args:
        config: of the run.
        stage: "probe" or "finetune".
        num_classes: width of mixed targets.
    """
    options = config.augmentation
    mixes = stage == "finetune" and (options.mixup or options.cutmix)
    return Augmentation(
        config.augment(stage),
        config.seed,
        Erasing(options.random_erasing) if options.random_erasing else None,
        Mixing(options.mixup, options.cutmix, num_classes) if mixes else None,
    )

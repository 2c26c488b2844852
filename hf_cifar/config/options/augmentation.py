"""Augmentation of training images."""

from dataclasses import dataclass

from hf_cifar.config.fields import Usual, at_least, between, flag, option
from hf_cifar.config.stages import FINETUNING_STAGES


@dataclass
class AugmentationConfig:
    """Augmentation of training images. Evaluation images are never augmented."""

    augment: str | None = option(
        None,
        "none; crop: random shifts by up to an eighth; standard: crop and horizontal flip; trivial: standard and "
        "TrivialAugment; rand: standard and RandAugment (default: standard, but none for a probe on cached features)",
        choices=("none", "crop", "standard", "trivial", "rand"),
        usual=Usual("training", "none, crop, standard (crop and flip), trivial or rand"),
    )
    random_erasing: float = option(0.0, "probability of RandomErasing", range=between(0, 1))
    mixup: float = option(0.0, "alpha of MixUp; 0: off", range=at_least(0), stages=FINETUNING_STAGES)
    cutmix: float = option(
        0.0,
        "alpha of CutMix; 0: off; with MixUp, each batch gets one of them",
        range=at_least(0),
        stages=FINETUNING_STAGES,
    )

    @property
    def requested(self) -> list[str]:
        """Return the flags that were given and switch something on."""
        given = [] if self.augment in (None, "none") else [f"--augment {self.augment}"]
        names = ("random_erasing", "mixup", "cutmix")
        return given + [f"{flag(name)} {getattr(self, name):g}" for name in names if getattr(self, name)]

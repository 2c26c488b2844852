"""TrivialAugment and RandAugment: which operation an image gets, and how strongly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_cifar.data.augmentation.draws import Draws, Purpose
from hf_cifar.data.augmentation.operations import OPERATIONS

BINS = 31
Magnitudes = Callable[[int, int], np.ndarray]  # of height and width, in pixels: one for each bin
Step = list[tuple[str, torch.Tensor, torch.Tensor]]  # operation, images in the batch [k], their magnitudes [k]


@dataclass(frozen=True)
class Policy:
    """Operations of which each image gets `steps` at random, one after the other, each equally likely.

    Attributes:
        magnitudes: of each operation; None where it has none. "Identity" leaves the image alone.
        steps: operations an image.
        strength: the bin of the magnitude; None draws one.
    """

    magnitudes: dict[str, Magnitudes | None]
    steps: int
    strength: int | None

    def draw(self, draws: Draws, height: int, width: int) -> list[Step]:
        """Return for each step which images [3, height, width] get which operation, and how strongly."""
        numbers = draws.uniform(Purpose.POLICY, 3 * self.steps).reshape(-1, self.steps, 3)
        return [self._drawn(numbers[:, step], height, width) for step in range(self.steps)]

    def _drawn(self, numbers: np.ndarray, height: int, width: int) -> Step:
        chosen = (numbers[:, 0] * len(self.magnitudes)).astype(np.int64)
        bins = (numbers[:, 1] * BINS).astype(np.int64)
        bins = bins if self.strength is None else np.full_like(bins, self.strength)
        signs = np.where(numbers[:, 2] < 0.5, -1.0, 1.0)
        step: Step = []
        for index, (name, magnitudes) in enumerate(self.magnitudes.items()):
            (places,) = np.nonzero(chosen == index)
            if name == "Identity" or not len(places):
                continue
            values = np.zeros(len(places)) if magnitudes is None else magnitudes(height, width)[bins[places]]
            if name in SIGNED:
                values = values * signs[places]
            step.append((name, torch.from_numpy(places), torch.from_numpy(values)))
        return step

    @staticmethod
    def apply(images: torch.Tensor, drawn: Sequence[Any]) -> torch.Tensor:
        """Return the changed images, uint8 [n, 3, height, width]."""
        images = images.clone()
        for step in drawn:
            for name, places, magnitudes in step:
                images[places] = OPERATIONS[name](images[places], magnitudes)
        return images


def _steps(last: float) -> Magnitudes:
    # By torch and in single precision, as torchvision has them: the bins are the same to the last bit.
    return lambda height, width: torch.linspace(0.0, last, BINS).double().numpy()


def _slopes(last: float) -> Magnitudes:
    # Into degrees and back, as torchvision takes them: it decides which of two pixels is the nearer one.
    return lambda height, width: np.tan(np.radians(np.degrees(np.arctan(_steps(last)(height, width)))))


def _bits(lost: int) -> Magnitudes:
    return lambda height, width: np.rint(8 - np.arange(BINS) / ((BINS - 1) / lost))


def _thresholds(height: int, width: int) -> np.ndarray:
    return torch.linspace(1.0, 0.0, BINS).double().numpy()


def _part_of_width(height: int, width: int) -> np.ndarray:
    return _steps(150 / 331 * width)(height, width)


def _part_of_height(height: int, width: int) -> np.ndarray:
    return _steps(150 / 331 * height)(height, width)


def _operations(
    shear: float, along: Magnitudes, down: Magnitudes, degrees: float, colour: float, bits: int
) -> dict[str, Magnitudes | None]:
    return {
        "Identity": None,
        "ShearX": _slopes(shear),
        "ShearY": _slopes(shear),
        "TranslateX": along,
        "TranslateY": down,
        "Rotate": _steps(degrees),
        "Brightness": _steps(colour),
        "Color": _steps(colour),
        "Contrast": _steps(colour),
        "Sharpness": _steps(colour),
        "Posterize": _bits(bits),
        "Solarize": _thresholds,
        "AutoContrast": None,
        "Equalize": None,
    }


SIGNED = {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"}
POLICIES = {
    # Müller and Hutter, 2021, the wide space of table 1.
    "trivial": Policy(_operations(0.99, _steps(32.0), _steps(32.0), 135.0, 0.99, 6), steps=1, strength=None),
    # Cubuk et al., 2020, with torchvision's defaults: two operations at 9 of 30.
    "rand": Policy(_operations(0.3, _part_of_width, _part_of_height, 30.0, 0.9, 4), steps=2, strength=9),
}

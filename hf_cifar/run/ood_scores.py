"""Scores that are higher the less an image is like those of training, from logits alone; numpy is all they take.

The energy is that of Liu, Wang, Owens and Li, "Energy-based Out-of-distribution Detection", NeurIPS 2020.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hf_cifar.errors import InputError
from hf_cifar.utils.files import write_json

ENERGY_FILE = "ood_energy.json"  # beside a model
KEPT = 0.95  # of the validation images that a threshold keeps


@dataclass(frozen=True)
class OodAnswer:
    """What a score says of one image.

    Attributes:
        score: higher for images less like those of training.
        is_out: whether it is above the threshold, which `KEPT` of the validation images are not.
    """

    score: float
    is_out: bool


def energy(logits: np.ndarray, head_divided_by: float | None = None) -> np.ndarray:
    """Return the negative logsumexp of the logits that the network was trained with, float64 [n].

    Args:
        logits: float [n, labels].
        head_divided_by: of a calibrated export, the temperature that they were divided by; a temperature that is only
            noted beside the model plays no part.
    """
    trained = logits.astype(np.float64) * (head_divided_by or 1.0)
    highest = trained.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # logits that are not finite have no energy
        return np.asarray(-(highest[:, 0] + np.log(np.exp(trained - highest).sum(axis=1))))


def threshold_of(scores: np.ndarray) -> float:
    """Return the lowest score that at least `KEPT` of these, those of validation images, are not above."""
    return float(np.sort(scores)[int(np.ceil(KEPT * len(scores) - 1e-9)) - 1])


@dataclass(frozen=True)
class EnergyThreshold:
    """Above which energy an image is called out of distribution.

    Attributes:
        threshold: of the energy.
        num_examples: validation images that it was taken from.
    """

    threshold: float
    num_examples: int

    @classmethod
    def calibrate(cls, energies: np.ndarray) -> "EnergyThreshold":
        """Take it from the energies of images that the model was not trained on: the validation split."""
        return cls(threshold_of(energies), len(energies))

    def write(self, model: Path) -> None:
        """Write it beside a model."""
        write_json(model / ENERGY_FILE, {"score": "energy", "kept": KEPT, **asdict(self)})

    @classmethod
    def read(cls, file: Path) -> "EnergyThreshold":
        """Read what `write` has written.

        Raises:
            InputError: the file cannot be read, or says something else.
        """
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            said = values["score"], values["kept"]
            read = cls(float(values["threshold"]), int(values["num_examples"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} cannot be read ({str(error)[:150]}): train the model again") from error
        if said != ("energy", KEPT) or not np.isfinite(read.threshold):
            raise InputError(f"{file} is of another score, or damaged: train the model again")
        return read

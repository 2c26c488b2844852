"""The distance of an image's features to those of training images, as an out-of-distribution score.

Sun, Ming, Zhu and Li, "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_cifar.errors import InputError
from hf_cifar.run.ood_scores import KEPT, threshold_of
from hf_cifar.utils.files import write_aside

KNN_FILE = "ood_knn.safetensors"  # beside a model
MOST_FEATURES = 5_000  # of training images that are kept
NEIGHBOURS = 10  # the paper's for about so many features, fixed: no image is spent on choosing it


@dataclass(frozen=True)
class FeatureBank:
    """Features of training images, of length one, and the distance above which an image is out of distribution.

    Attributes:
        features: float16 [n, features].
        threshold: of the distance to the `NEIGHBOURS`-th nearest of them.
        num_examples: validation images that it was taken from.
    """

    features: np.ndarray
    threshold: float
    num_examples: int

    @classmethod
    def calibrate(cls, training: np.ndarray, validation: np.ndarray) -> "FeatureBank":
        """Keep the features of training images, and take the threshold from those of validation images.

        Args:
            training: float [n, features].
            validation: float [m, features].
        """
        bank = cls(_of_length_one(training).astype(np.float16), 0.0, 0)
        return cls(bank.features, threshold_of(bank.distances(validation)), len(validation))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return the distance of each image to the `NEIGHBOURS`-th nearest training image, float64 [n].

        Args:
            features: float [n, features], of any length; where one is not finite the distance is NaN.
        """
        found = np.full(len(features), np.nan)
        finite = np.isfinite(features).all(axis=1)
        if not finite.any():
            return found
        from sklearn.neighbors import NearestNeighbors

        bank = _of_length_one(self.features)
        nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(bank)), algorithm="brute").fit(bank)
        found[finite] = nearest.kneighbors(_of_length_one(features[finite]))[0][:, -1]
        return found

    def write(self, model: Path) -> None:
        """Write it beside a model, whole or not at all."""
        from safetensors.numpy import save_file

        said = {"threshold": repr(self.threshold), "num_examples": str(self.num_examples), **_method()}
        write_aside(model / KNN_FILE, lambda path: save_file({"features": self.features}, path, metadata=said))

    @classmethod
    def read(cls, file: Path) -> "FeatureBank":
        """Read what `write` has written.

        Raises:
            InputError: the file cannot be read, or is of another method.
        """
        from safetensors import SafetensorError, safe_open

        again = "remove it, and make it again by --stage evaluate --ood-score knn"
        try:
            with safe_open(file, framework="numpy") as opened:
                said: dict[str, Any] = opened.metadata()
                features = opened.get_tensor("features")
            read = cls(features, float(said["threshold"]), int(said["num_examples"]))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(f"{file} cannot be read ({str(error)[:150]}): {again}") from error
        if {name: said.get(name) for name in _method()} != _method() or not np.isfinite(read.threshold):
            raise InputError(f"{file} is of another score, or damaged: {again}")
        return read


def _method() -> dict[str, str]:
    return {"score": "knn", "neighbours": str(NEIGHBOURS), "kept": str(KEPT)}


def _of_length_one(features: np.ndarray) -> np.ndarray:
    """Return features divided by their length, float64 [n, features]; those of length zero stay."""
    values = features.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1.0))

"""Pooled features, computed once per image and cached on disk.

The features of one backbone for one split are kept by the rows of the split (`RowCache`): runs with other seeds, other
validation splits or more images read what is cached and add the rest.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import default_workers, in_order
from hf_cifar.data.row_cache import RowCache, cache_folder
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import head, head_names, pooled_features
from hf_cifar.utils.progress import progress

PART_ROWS = 16_384  # most that a kill can lose
BATCH_SIZE = 64
DTYPE = "float32"
FORMAT = 3  # version of the cache; raised when its contents change
# Entries of a model's configuration that its features do not depend on.
OTHER_SETTINGS = {
    "architectures",
    "calibration_temperature",
    "dtype",
    "id2label",
    "label2id",
    "label_names",
    "num_classes",
    "num_labels",
    "pretrained_cfg",  # part of the processor, which has its own entry in the key
    "problem_type",
    "transformers_version",
    "_name_or_path",
}


@dataclass
class Features:
    """Memory-mapped features of some images.

    Attributes:
        labels: int64 [n].
        images_read: number of images passed through the backbone; the others were in the cache.
        seconds: spent on that.
    """

    labels: np.ndarray
    images_read: int
    seconds: float
    _parts: list[np.ndarray]
    _part: np.ndarray
    _row: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, positions: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """Return float32 [len(positions), features]; only these rows are read from disk."""
        part, row = self._part[positions], self._row[positions]
        values = np.empty((len(part), self._parts[0].shape[1]), dtype=DTYPE)
        for index in np.unique(part):
            matches = part == index
            values[matches] = self._parts[index][row[matches]]
        return values


class FeatureCache:
    """Cache of the features of one backbone with one image processor, for any split.

    Args:
        model: classifier; its backbone is used in eval mode, its head is ignored.
        processor: image processor.
        folder: of the cache; default: `cache_folder("features")`.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, folder: Path | None = None) -> None:
        self.model = model
        self.processor = processor
        self.folder = folder or cache_folder("features")
        self.backbone_key = _backbone_key(model)
        self._splits: dict[Path, RowCache] = {}

    def describe(self, images: LabeledImages) -> dict[str, Any]:
        """Return the cache key of a split, before hashing."""
        return {
            "format": FORMAT,
            "weights": self.backbone_key,
            "processor": json.loads(self.processor.to_json_string()),
            "data": images.fingerprint,
            "split": images.name,
            "dtype": DTYPE,
        }

    def features(self, images: LabeledImages, workers: int | None = None) -> Features:
        """Return the features of some images, after computing those missing from the cache in one pass.

        Memory use does not grow with the number of images. Several processes each compute a part.

        Raises:
            CorruptImageError: an image cannot be read.
            InputError: several processes do not see the same cache folder.
        """
        start = time.perf_counter()
        split = RowCache(self.folder, self.describe(images), ["features"], "cached features")
        split = self._splits.setdefault(split.folder, split)  # which knows what has been verified
        images_read = split.fill(images.index, lambda rows: self._extract(images, rows, split, workers))
        seconds = time.perf_counter() - start
        cached = split.open(len(images.labels))
        part, position = cached.part[images.index], cached.position[images.index]
        if (part < 0).any():
            raise InputError(
                f"{split.folder} is not the same for every process: put --feature-cache on a disk that all share"
            )
        return Features(images.targets, images_read, seconds, cached.arrays["features"], part, position)

    @torch.inference_mode()
    def _extract(self, images: LabeledImages, rows: np.ndarray, split: RowCache, workers: int | None) -> None:
        model = self.model.eval()
        device = model.device
        width = head(model).in_features
        transform = Transform(self.processor)
        workers = default_workers(device) if workers is None else workers
        everything = replace(images, index=rows)
        with progress(None, f"features of {images.name}", "image", total=len(rows)) as bar:
            for first in range(0, len(rows), PART_ROWS):
                part = everything.select(np.arange(first, min(first + PART_ROWS, len(rows))))
                with split.part(part.index) as folder:
                    values = np.lib.format.open_memmap(folder / "features.npy", "w+", DTYPE, (len(part), width))
                    done = 0
                    for pixels in in_order(part, transform, BATCH_SIZE, workers):
                        batch = pooled_features(model, pixels.to(device, non_blocking=True)).float().cpu().numpy()
                        values[done : done + len(batch)] = batch
                        done += len(batch)
                        bar.update(len(batch))
                    values.flush()


def _backbone_key(model: PreTrainedModel) -> str:
    """Return a digest of the architecture and of all parameters and buffers except the head's."""
    config = {name: value for name, value in model.config.to_dict().items() if name not in OTHER_SETTINGS}
    digest = hashlib.sha256((type(model).__name__ + json.dumps(config, sort_keys=True, default=str)).encode())
    prefix = tuple(f"{name}." for name in head_names(model))
    for name, tensor in model.state_dict().items():
        if not name.startswith(prefix):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:24]

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
from hf_cifar.data.shared_store import SharedStore
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import head, head_names
from hf_cifar.training.probe.backends import (
    ONNX_FEWEST,
    Backend,
    faster_by_onnx,
    onnx_backend,
    onnx_installed,
    torch_backend,
)
from hf_cifar.utils import processes
from hf_cifar.utils.network import is_address
from hf_cifar.utils.progress import progress

PART_ROWS = 16_384
PART_SECONDS = 20.0  # with its last batch, the most that a kill can lose
BATCH_PIXELS = 2**18  # of each channel
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
DTYPE = "float32"
FORMAT = 4  # version of the cache; raised when its contents change
# Entries of a model's configuration that its features do not depend on.
OTHER_SETTINGS = {
    "architectures",
    "calibration_temperature",
    "head_divided_by",
    "transformers.js_config",
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
        folder: of the cache, or the address of a store that others share, of which the default folder is the working
            copy; default: `cache_folder("features")`.
        backend: torch, onnx, or auto: on a CPU the faster one, where ONNX Runtime is installed.
        dtype: that the features of training images are computed in, float32 or bfloat16; all are kept in float32.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        folder: Path | str | None = None,
        *,
        backend: str = "auto",
        dtype: str = "float32",
    ) -> None:
        self.model = model
        self.processor = processor
        self.transform = Transform(processor)
        self.store = SharedStore(folder) if isinstance(folder, str) and is_address(folder) else None
        self.folder = cache_folder("features") if folder is None or self.store else Path(folder).expanduser()
        self.backend = backend
        self.dtype = dtype
        self.backbone_key = _backbone_key(model)
        self._splits: dict[Path, RowCache] = {}
        self._backends: dict[tuple[str, str], Backend] = {}
        self._size: int | None = None

    def describe(self, images: LabeledImages, backend: str = "torch", dtype: str = "float32") -> dict[str, Any]:
        """Return the cache key of a split, before hashing.

        Args:
            images: of the split.
            backend: that computes the features, torch or onnx.
            dtype: that it computes in, float32 or bfloat16.
        """
        return {
            "format": FORMAT,
            "weights": self.backbone_key,
            "processor": json.loads(self.processor.to_json_string()),
            "data": images.fingerprint,
            "split": images.name,
            "dtype": dtype,
            # The features of both backends agree to rounding, but no run mixes them.
            **({} if backend == "torch" else {"backend": backend}),
        }

    def features(self, images: LabeledImages, workers: int | None = None) -> Features:
        """Return the features of some images, after computing those missing from the cache in one pass.

        Memory use does not grow with the number of images. Several processes each compute a part. Only training images
        are computed in bfloat16: what is measured on the others is what `pipeline` answers, which computes in float32.

        Raises:
            CorruptImageError: an image cannot be read.
            InputError: several processes do not see the same cache folder.
        """
        start = time.perf_counter()
        dtype = self.dtype if images.part == "train" else "float32"
        backend = processes.from_main(self._choose(images, dtype) if processes.is_main() else "")
        split = self._split(images, backend, dtype)
        images_read = split.fill(images.index, lambda rows: self._extract(images, rows, split, backend, dtype, workers))
        seconds = time.perf_counter() - start
        cached = split.open(len(images.labels))
        part, position = cached.part[images.index], cached.position[images.index]
        if (part < 0).any():
            raise InputError(
                f"{split.folder} is not the same for every process: put --feature-cache on a disk that all share"
            )
        return Features(images.targets, images_read, seconds, cached.arrays["features"], part, position)

    def forecast(self, images: LabeledImages, again: bool = False) -> tuple[int, float]:
        """Return how many of some images the cache lacks, and the seconds that one takes, from a batch; writes nothing.

        Args:
            images: at least one.
            again: whether they go through the backbone even where they are cached.
        """
        dtype = self.dtype if images.part == "train" else "float32"
        backends = ("torch", "onnx") if self.backend == "auto" else (self.backend,)
        missing = min(len(self._split(images, name, dtype).missing(images.index)) for name in backends)
        if not missing and not again:
            return 0, 0.0
        compute = self._made("torch" if self.backend == "auto" else self.backend, dtype, images)
        start = time.perf_counter()
        pixels = self._first_batch(images)
        compute(pixels)
        return missing, (time.perf_counter() - start) / len(pixels)

    def _split(self, images: LabeledImages, backend: str, dtype: str) -> RowCache:
        split = RowCache(
            self.folder, self.describe(images, backend, dtype), ["features"], "cached features", self.store
        )
        return self._splits.setdefault(split.folder, split)  # which knows what has been verified

    def _choose(self, images: LabeledImages, dtype: str) -> str:
        """Return the backend for some images: the one that has cached most of them, or else the faster one."""
        if self.backend != "auto" or dtype != "float32":
            return "torch" if self.backend == "auto" else self.backend
        usable = self.model.device.type == "cpu" and onnx_installed()
        splits = {name: self._split(images, name, dtype) for name in ("torch", "onnx")}
        for split in splits.values():
            split.synchronize()
        missing = {name: len(split.missing(images.index)) for name, split in splits.items()}
        if missing["torch"] != missing["onnx"]:
            best = min(missing, key=lambda name: missing[name])
            return best if usable or not missing[best] else "torch"
        if not usable or missing["torch"] < ONNX_FEWEST:
            return "onnx" if ("onnx", dtype) in self._backends else "torch"
        if ("onnx", dtype) in self._backends:  # chosen for an earlier split
            return "onnx"
        by_torch = self._made("torch", dtype, images)
        found = faster_by_onnx(by_torch, self.model, self._first_batch(images), missing["torch"])
        if found is None:
            return "torch"
        self._backends["onnx", dtype] = found
        return "onnx"

    def _made(self, backend: str, dtype: str, images: LabeledImages) -> Backend:
        """Return a backend, made once and compared with the model on the first batch of some images."""
        if (backend, dtype) not in self._backends:
            model, pixels = self.model.eval(), self._first_batch(images)
            self._backends[backend, dtype] = (
                onnx_backend(model, pixels) if backend == "onnx" else torch_backend(model, pixels, DTYPES[dtype])
            )
        return self._backends[backend, dtype]

    def _first_batch(self, images: LabeledImages) -> torch.Tensor:
        size = self._batch_size(images)
        first = images.select(np.arange(min(size, len(images))))
        return next(in_order(first, self.transform, size, 0))

    def _batch_size(self, images: LabeledImages) -> int:
        if self._size is None:  # the processor gives all images one size
            one = next(in_order(images.select(np.arange(1)), self.transform, 1, 0))
            self._size = batch_size(one, self.model.device)
        return self._size

    def _extract(
        self, images: LabeledImages, rows: np.ndarray, split: RowCache, backend: str, dtype: str, workers: int | None
    ) -> None:
        wanted = replace(images, index=rows)
        workers = default_workers(self.model.device) if workers is None else workers
        compute = self._made(backend, dtype, wanted)
        batches = in_order(wanted, self.transform, self._batch_size(wanted), workers)
        values = np.empty((min(PART_ROWS, len(rows)), head(self.model).in_features), dtype=DTYPE)
        first, done, started = 0, 0, time.perf_counter()
        with progress(None, f"features of {images.name}", "image", total=len(rows)) as bar:
            # On a CPU without a thread that decodes ahead: on 2 cores, where the network uses both, it cost 4 to 12 %.
            for pixels in batches:
                values[done : done + len(pixels)] = compute(pixels)
                done += len(pixels)
                next_size = min(len(pixels), len(rows) - first - done)
                is_full = done + next_size > len(values) or time.perf_counter() - started > PART_SECONDS
                if is_full or not next_size:
                    with split.part(rows[first : first + done]) as folder:
                        np.save(folder / "features.npy", values[:done])
                    first, done, started = first + done, 0, time.perf_counter()
                bar.update(len(pixels))


def batch_size(pixels: torch.Tensor, device: torch.device) -> int:
    """Return the number of images in a batch: the largest that pays.

    On 2 CPU cores a ResNet-18 gains 10 to 20 % from 256 instead of 64 at 32 pixels, nothing at 64, and loses 5 % from
    more than 32 at 224, where the activations leave the processor's caches.

    Args:
        pixels: the network's input for an image.
        device: that computes.
    """
    if device.type != "cpu":
        return 256
    height, width = pixels.shape[-2:]
    return min(256, max(32, BATCH_PIXELS // (height * width)))


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

"""Pooled features, computed once per image and cached on disk.

One folder of the cache holds the features of one backbone for one split, by the rows of the split, in parts. Runs
with other seeds, other validation splits or more images read what is cached and add the rest. A part is written
aside and renamed, so it is complete or absent; a lock keeps two runs from computing the same rows. Its checksums are
verified once by every run that uses it, and a damaged part is computed again.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import default_workers, in_order
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import head, head_names, pooled_features
from hf_cifar.utils import processes
from hf_cifar.utils.checksums import find_damage, write_checksums
from hf_cifar.utils.files import path_aside, remove_leftovers, write_json
from hf_cifar.utils.progress import progress, say

PART_ROWS = 16_384  # most that a kill can lose
CHECKSUMS = "checksums.json"
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
        folder: of the cache; default: `default_folder()`.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, folder: Path | None = None) -> None:
        self.model = model
        self.processor = processor
        self.folder = folder or default_folder()
        self.backbone_key = _backbone_key(model)
        self._verified: set[Path] = set()

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
        description = self.describe(images)
        key = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:24]
        folder = self.folder / key
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        if processes.is_main():
            self._remove_damaged(folder)
        missing = processes.from_main(_missing(images, folder))
        if len(missing):
            # The main process takes the lock; the others wait for its broadcast.
            with FileLock(folder / "lock") if processes.is_main() else nullcontext():
                # Another run may have filled the cache meanwhile. Nobody writes now: unfinished parts are leftovers.
                if processes.is_main():
                    remove_leftovers(folder)
                    write_json(folder / "key.json", description)
                missing = processes.from_main(_missing(images, folder))
                mine = missing[processes.share(len(missing))]
                if len(mine):
                    self._extract(images, mine, folder, workers)
                processes.wait_for_all()
        return _opened(folder, images, len(missing), time.perf_counter() - start)

    def _remove_damaged(self, folder: Path) -> None:
        for part in set(_part_folders(folder)) - self._verified:
            damage = find_damage(part / CHECKSUMS)
            if damage is None:
                self._verified.add(part)
                continue
            say(f"warning: cached features in {part} are damaged ({damage}): they are computed again")
            with FileLock(folder / "lock"):
                shutil.rmtree(part, ignore_errors=True)

    @torch.inference_mode()
    def _extract(self, images: LabeledImages, rows: np.ndarray, folder: Path, workers: int | None) -> None:
        model = self.model.eval()
        device = model.device
        width = head(model).in_features
        transform = Transform(self.processor)
        workers = default_workers(device) if workers is None else workers
        everything = replace(images, index=rows)
        with progress(None, f"features of {images.name}", "image", total=len(rows)) as bar:
            for first in range(0, len(rows), PART_ROWS):
                part = everything.select(np.arange(first, min(first + PART_ROWS, len(rows))))
                aside = path_aside(folder / "part")
                aside.mkdir()
                values = np.lib.format.open_memmap(aside / "features.npy", "w+", DTYPE, (len(part), width))
                done = 0
                for pixels in in_order(part, transform, BATCH_SIZE, workers):
                    batch = pooled_features(model, pixels.to(device, non_blocking=True)).float().cpu().numpy()
                    values[done : done + len(batch)] = batch
                    done += len(batch)
                    bar.update(len(batch))
                values.flush()
                np.save(aside / "rows.npy", part.index)
                write_checksums(aside / CHECKSUMS, [aside / "features.npy", aside / "rows.npy"])
                os.replace(aside, folder / f"part-{part.index[0]}-{len(part)}-{time.time_ns()}")


def default_folder() -> Path:
    """Return `$HF_CIFAR_CACHE/features`, or `hf_cifar/features` in the user's cache folder."""
    given = os.environ.get("HF_CIFAR_CACHE")
    home = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "hf_cifar")
    return home.expanduser() / "features"


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


def _part_folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*"))


def _missing(images: LabeledImages, folder: Path) -> np.ndarray:
    """Return the requested rows of the split that are not in the cache, int64."""
    return np.setdiff1d(images.index, _rows(_part_folders(folder)))


def _rows(parts: list[Path]) -> np.ndarray:
    rows = [np.load(part / "rows.npy") for part in parts]
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def _opened(folder: Path, images: LabeledImages, images_read: int, seconds: float) -> Features:
    paths = _part_folders(folder)
    rows = [np.load(path / "rows.npy") for path in paths]
    positions = np.full((2, len(images.labels)), -1, dtype=np.int64)
    for index, held in enumerate(rows):
        positions[0, held] = index
        positions[1, held] = np.arange(len(held))
    parts = [np.load(path / "features.npy", mmap_mode="r") for path in paths]
    part, row = positions[:, images.index]
    if (part < 0).any():
        raise InputError(f"{folder} is not the same for every process: put --feature-cache on a disk that all share")
    return Features(images.targets, images_read, seconds, parts, part, row)

"""Labelled images that are decoded on demand."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch.utils.data
from PIL import Image

from hf_cifar.data.decoding import decode, encoded, open_image
from hf_cifar.data.row_cache import mapped
from hf_cifar.errors import InputError
from hf_cifar.utils.processes import reading_threads
from hf_cifar.utils.progress import progress, say

# Pixels from which Pillow's work on an image, during which other threads run, is more than Python's.
LARGE = 128 * 128

Picture = TypeVar("Picture", Image.Image, np.ndarray)


class CorruptImageError(InputError):
    """An image that cannot be decoded; the message names it and says how to go on without it."""

    def __init__(self, message: str) -> None:
        # A loader re-raises its worker's error with the whole traceback as the message.
        super().__init__(message.rpartition("CorruptImageError: ")[2].strip())


@dataclass(frozen=True)
class DecodedImages:
    """Pixels of images that are decoded already.

    Attributes:
        files: for each part of the cache the .npy file with the bytes of its images, one after another, uint8. A
            spawned worker gets their names, and not what they hold.
        shapes: for each part height and width of its images, int32 [k, 2].
        part, position: int32 [rows of the split], which part holds a row, and where; -1 where none does.
    """

    files: Sequence[Path]
    shapes: Sequence[np.ndarray]
    part: np.ndarray
    position: np.ndarray

    @cached_property
    def pixels(self) -> list[np.ndarray]:
        """Return the content of the files, memory-mapped."""
        return [mapped(file) for file in self.files]

    @cached_property
    def ends(self) -> list[np.ndarray]:
        """Return for each part where the bytes of its images end, int64 [k + 1], from 0."""
        sizes = [3 * shape.astype(np.int64).prod(axis=1) for shape in self.shapes]
        return [np.concatenate([np.zeros(1, np.int64), size.cumsum()]) for size in sizes]

    def __getitem__(self, row: int) -> np.ndarray:
        """Return the image of a row of the split, uint8 [height, width, 3], without a copy."""
        part, position = self.part[row], self.position[row]
        height, width = self.shapes[part][position]
        start, end = self.ends[part][position : position + 2]
        return self.pixels[part][start:end].reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone, without what is mapped or computed from them."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class LabeledImages:
    """Some rows of a split: encoded images with integer labels.

    Attributes:
        name: of the split that the rows come from, as the source calls it.
        rows: the whole split, with one column `image` of undecoded images (`bytes` and `path`).
        labels: int64 [rows of the split], each an index into the label names.
        index: int64 [n], the rows of the split that these are, in order.
        fingerprint: changes when the content of the split changes.
        part: the run's use of them, train, validation or test; empty before the splits are made.
        folders: without links, where files that rows name must lie; None where this package listed the files itself.
        decoded: their pixels, where they are cached.
        root: folder of the dataset, where it is local.
        hashes: of the encoded bytes, by row, as far as they are known; shared by every selection of these rows.
    """

    name: str
    rows: datasets.Dataset
    labels: np.ndarray
    index: np.ndarray
    fingerprint: str
    part: str = ""
    folders: tuple[Path, ...] | None = None
    decoded: DecodedImages | None = None
    root: Path | None = None
    hashes: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def targets(self) -> np.ndarray:
        """Return the labels of these rows, int64 [n]."""
        return self.labels[self.index]

    def select(self, positions: np.ndarray) -> "LabeledImages":
        """Return the images at some positions of this selection; `index` still counts rows of the split."""
        return replace(self, index=self.index[positions])

    def refuse_test(self, chosen: str) -> None:
        """Refuse to choose anything on these images if they are the test split.

        Args:
            chosen: what would be chosen, for the message.

        Raises:
            ValueError: they are the test split.
        """
        if self.part == "test":
            raise ValueError(f"{chosen} must be chosen on validation, never on test")

    def decode(self, positions: Sequence[int] | np.ndarray) -> list[Image.Image]:
        """Return the RGB images at some positions.

        Raises:
            CorruptImageError: one of them cannot be read.
        """
        return self._in_threads(self._read, positions)

    def _in_threads(
        self, read: Callable[[int, dict[str, Any]], Picture], positions: Sequence[int] | np.ndarray
    ) -> list[Picture]:
        """Return what `read` makes of the rows at some positions, by several threads where the images are large."""
        rows = self.index[np.asarray(positions, dtype=np.int64)]
        cells = self.rows[rows]["image"]
        first = [read(row, cell) for row, cell in zip(rows[:1], cells[:1], strict=True)]
        if decoding_threads() == 1 or not first or _pixels_of(first[0]) < LARGE:
            return first + [read(row, cell) for row, cell in zip(rows[1:], cells[1:], strict=True)]
        return first + list(_pool(os.getpid()).map(read, rows[1:], cells[1:]))

    def _read(self, row: int, cell: dict[str, Any]) -> Image.Image:
        try:
            return _decoded(encoded(cell, self.folders), self.name)
        except Exception as error:
            raise CorruptImageError(
                f"{self.where(int(row), cell)} cannot be read ({_short(error)}): "
                "repair or remove it, or go on without it by --skip-corrupt"
            ) from error

    def pixels(self, positions: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Return the images at some positions, uint8 [height, width, 3] each.

        Raises:
            CorruptImageError: one of them cannot be read.
        """
        if self.decoded is not None:
            return [self.decoded[row] for row in self.index[np.asarray(positions, dtype=np.int64)]]
        # Copying the pixels out of Pillow takes as long as half of decoding them: the threads do it too.
        return self._in_threads(lambda row, cell: np.asarray(self._read(row, cell)), positions)

    def files(self) -> list[str]:
        """Return what each image can be found by: its file below the dataset's folder, or its row, as `train[7]`."""
        cells = self.rows.data.column("image")
        paths = pc.struct_field(cells, "path")
        named = pc.if_else(pc.is_valid(pc.struct_field(cells, "bytes")), pa.scalar(None, paths.type), paths)
        indices = self.rows._indices
        rows = self.index if indices is None else np.asarray(indices.column(0))[self.index]
        return [
            self._below_root(path) if path else f"{self.name}[{row}]"
            for path, row in zip(named.take(pa.array(rows)).to_pylist(), self.index, strict=True)
        ]

    def _below_root(self, path: str) -> str:
        for root in (self.root, *((self.root.resolve(),) if self.root is not None else ())):
            if root is not None and Path(path).is_relative_to(root):
                return str(Path(path).relative_to(root))
        return path

    def where(self, row: int, cell: dict[str, Any] | None = None) -> str:
        """Return the name of a row for messages: its number in the split, and its file if it has one."""
        cell = cell if cell is not None else self.rows[row]["image"]
        path = cell.get("path") if cell else None
        return f"image {row} of {self.name}" + (f" ({path})" if path else "")

    def corrupt(self) -> Iterator[int]:
        """Yield the positions of the images that cannot be read, by reading every one."""
        for position in progress(range(len(self)), f"checking {self.name}", "image"):
            try:
                self.decode([position])
            except CorruptImageError:
                yield position


def decoding_threads() -> int:
    """Return how many threads decode large images: one for each core, at most eight; one in a loader's worker."""
    if torch.utils.data.get_worker_info() is not None:
        return 1
    return reading_threads()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that decode in a process; a forked one has none of its parent's."""
    return ThreadPoolExecutor(decoding_threads(), f"decoding in {process}")


def _decoded(content: bytes | Path, split: str) -> Image.Image:
    with open_image(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
        if image.mode == "I" or image.mode.startswith("I;16"):
            _warn_of_deep_grey(split)
        return decode(image)


@cache
def _warn_of_deep_grey(split: str) -> None:
    """Warn once for each split; the pixels stay as they are, since training must see what `pipeline` sees."""
    say(
        f"warning: {split} has 16-bit grey images; pipeline, and therefore this run, clips their values at 255 "
        "(white): convert them to 8 bits"
    )


def _pixels_of(image: Image.Image | np.ndarray) -> int:
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.size
    return int(height * width)


def _short(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0].split("<_io")[0].strip()[:100]

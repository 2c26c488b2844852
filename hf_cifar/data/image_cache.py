"""Images decoded once: their pixels as bytes in memory-mapped files, which workers, epochs and runs share."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from hf_cifar.config.sizes import bytes_of
from hf_cifar.data.decoding import encoded, open_image
from hf_cifar.data.images import DecodedImages, LabeledImages
from hf_cifar.data.row_cache import RowCache, cache_folder
from hf_cifar.errors import InputError
from hf_cifar.utils.files import refuse_unwritable
from hf_cifar.utils.formatting import file_size
from hf_cifar.utils.processes import from_main
from hf_cifar.utils.progress import progress, say

FORMAT = 1  # version of the cache; raised when its contents change
AUTO_LIMIT = 2 * 2**30  # bytes of one split
FREE_PART = 4  # of the free disk space, that `auto` takes at most one of
SAMPLE = 64  # images whose sizes stand for all
PART_BYTES = 64 * 2**20  # of pixels that a process holds until they are written
TOGETHER = 16  # images that are read at a time
PIXELS, SHAPES = "pixels", "shapes"


def decoded_once(images: LabeledImages, setting: str, folder: Path | None = None) -> LabeledImages:
    """Return the same images, read from the cache of decoded ones; those that it lacks are decoded now.

    Args:
        images: of a split; the cache is keyed by its content.
        setting: `--image-cache`: auto (at most 2 GB, and a quarter of the free disk space), off, or a size such as 8GB.
            If all these images would take more, they are decoded in every epoch.
        folder: of the cache; default: `images` in the package's cache folder.

    Raises:
        CorruptImageError: an image cannot be read.
    """
    folder = folder or cache_folder("images")
    if bytes_of(setting) == 0 or not len(images):
        return images
    obstacle = from_main(_obstacle(images, setting, folder))
    if obstacle is not None:
        say(f"{images.name}: images are decoded in every epoch, since {obstacle}")
        return images
    cache = RowCache(folder, _description(images), (PIXELS, SHAPES), "cached images")
    cache.fill(images.index, lambda rows: _decode(images, rows, cache))
    held = cache.open(len(images.labels))
    return replace(images, decoded=DecodedImages(held.files[PIXELS], held.arrays[SHAPES], held.part, held.position))


def _obstacle(images: LabeledImages, setting: str, folder: Path) -> str | None:
    """Return why these images cannot be cached; None if they can."""
    try:
        refuse_unwritable("the cache", folder)
        folder.mkdir(parents=True, exist_ok=True)
    except (InputError, OSError) as error:
        return f"their cache cannot be written ({error})"
    needed, allowed = _estimated_bytes(images), bytes_of(setting)
    if allowed is None:
        allowed = min(AUTO_LIMIT, shutil.disk_usage(folder).free // FREE_PART)
    if needed <= allowed:
        return None
    return f"decoded they take about {file_size(needed)}, more than the {file_size(allowed)} of --image-cache {setting}"


def _description(images: LabeledImages) -> dict[str, Any]:
    """Return what the pixels depend on."""
    decoder = f"Pillow {PIL.__version__}"
    return {"format": FORMAT, "data": images.fingerprint, "split": images.name, "decoder": decoder}


def _estimated_bytes(images: LabeledImages) -> int:
    """Return how many bytes all images have once decoded, by the sizes of some; what cannot be read counts nothing."""
    chosen = np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(np.int64))
    total = 0
    for cell in images.rows[images.index[chosen]]["image"]:
        try:
            content = encoded(cell, images.folders)
            with open_image(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
                total += 3 * image.width * image.height
        except (OSError, ValueError):
            continue
    return round(total / len(chosen) * len(images))


def _decode(images: LabeledImages, rows: np.ndarray, cache: RowCache) -> None:
    """Add the pixels of some rows of the split to the cache."""
    everything = replace(images, index=rows)
    first, held, size = 0, list[np.ndarray](), 0
    for position, pixels in enumerate(_each(everything)):
        held.append(pixels)
        size += pixels.size
        if size >= PART_BYTES or position == len(rows) - 1:
            with cache.part(rows[first : position + 1]) as part:
                np.save(part / f"{PIXELS}.npy", np.concatenate([pixels.reshape(-1) for pixels in held]))
                np.save(part / f"{SHAPES}.npy", np.array([pixels.shape[:2] for pixels in held], dtype=np.int32))
            first, held, size = position + 1, [], 0


def _each(images: LabeledImages) -> Iterator[np.ndarray]:
    """Yield the pixels of each image, read some at a time, so that threads share the work where it is large."""
    with progress(None, f"decoding {images.name}", "image", total=len(images)) as bar:
        for start in range(0, len(images), TOGETHER):
            some = images.pixels(range(start, min(start + TOGETHER, len(images))))
            bar.update(len(some))
            yield from some

"""Reading images as `pipeline` does, in threads beside the network."""

import io
import os
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from PIL import Image, UnidentifiedImageError
from transformers.image_utils import load_image

from hf_cifar.inference.image_paths import Found, is_address

DOWNLOAD_SECONDS = 30.0
DOWNLOAD_BYTES = 100_000_000

# A file, an http(s) address, or an image that is in memory.
ImageLike = str | os.PathLike[str] | Image.Image
A = TypeVar("A")
B = TypeVar("B")
_IN_MEMORY = Lock()


def read_image(image: ImageLike | Found) -> Image.Image:
    """An image as `pipeline` sees it: the first frame, upright, RGB, converted by Pillow whatever the mode.

    Raises:
        Exception: whatever Pillow, the disk or the server says of it.
    """
    if isinstance(image, Image.Image):
        # It may be given twice, or not be read yet: an image object is not made for two threads.
        with _IN_MEMORY:
            return load_image(image)
    if isinstance(image, Found):
        if image.fault:
            raise ValueError(image.fault)
        image = image.path
    path = os.fspath(image)
    with Image.open(_download(path) if is_address(path) else path) as opened:
        return load_image(opened)


def reading_threads() -> int:
    """How many threads read images: one a core that this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


def in_order(work: Callable[[A], B], items: Iterable[A], threads: int, ahead: int) -> Iterator[B]:
    """`work` of each item by some threads, in order, never more than `ahead` items before what is asked for."""
    with ThreadPoolExecutor(threads, "reading") as pool:
        pending: deque[Future[B]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _download(address: str) -> io.BytesIO:
    """The bytes at an http(s) address, unless they are too many or come too slowly."""
    request = urllib.request.Request(address, headers={"User-Agent": "hf_cifar"})
    until = time.monotonic() + DOWNLOAD_SECONDS
    content = io.BytesIO()
    with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS / 3) as answer:
        while part := answer.read(1 << 16):
            content.write(part)
            if content.tell() > DOWNLOAD_BYTES:
                raise OSError(f"more than {DOWNLOAD_BYTES:,} bytes")
            if time.monotonic() > until:
                raise TimeoutError(f"not there after {DOWNLOAD_SECONDS:g} s")
    content.seek(0)
    return content


def reason(error: Exception) -> str:
    """What an exception says, in a few words without the path."""
    if isinstance(error, UnidentifiedImageError):
        return "no image in a format that Pillow knows"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:150]

"""Read images as `pipeline` does, in threads while the network computes."""

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

from hf_cifar.data.decoding import decode, open_image
from hf_cifar.data.image_files import HEIC_SUFFIXES, readable_suffixes
from hf_cifar.inference.image_paths import ImagePath, is_url

DOWNLOAD_SECONDS = 30.0
DOWNLOAD_BYTES = 100_000_000

# A file, an http(s) URL, or an image in memory.
ImageLike = str | os.PathLike[str] | Image.Image
A = TypeVar("A")
B = TypeVar("B")
_IN_MEMORY = Lock()


def read_image(image: ImageLike | ImagePath) -> Image.Image:
    """Load an image as `pipeline` does: the first frame, upright by its EXIF orientation, converted to RGB by Pillow.

    Raises:
        Exception: any error of Pillow, the file system or the server.
    """
    if isinstance(image, Image.Image):
        # Image objects are not thread-safe, and one may be given twice, or be read lazily.
        with _IN_MEMORY:
            return decode(image)
    if isinstance(image, ImagePath):
        if image.fault:
            raise ValueError(image.fault)
        image = image.path
    path = os.fspath(image)
    if os.path.splitext(path)[1].lower() in HEIC_SUFFIXES - readable_suffixes():
        raise ValueError("reading .heic files takes a plugin: pip install 'hf_cifar[heic]'")
    with open_image(_download(path) if is_url(path) else path) as opened:
        return decode(opened)


def in_order(work: Callable[[A], B], items: Iterable[A], threads: int, ahead: int) -> Iterator[B]:
    """Yield `work(item)` of each item in order, computed by threads at most `ahead` items in advance."""
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


def _download(url: str) -> io.BytesIO:
    """Return the bytes at an http(s) URL, unless they are too many or arrive too slowly."""
    request = urllib.request.Request(url, headers={"User-Agent": "hf_cifar"})
    until = time.monotonic() + DOWNLOAD_SECONDS
    content = io.BytesIO()
    with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS / 3) as response:
        while part := response.read(1 << 16):
            content.write(part)
            if content.tell() > DOWNLOAD_BYTES:
                raise OSError(f"more than {DOWNLOAD_BYTES:,} bytes")
            if time.monotonic() > until:
                raise TimeoutError(f"not downloaded within {DOWNLOAD_SECONDS:g} s")
    content.seek(0)
    return content


def reason(error: Exception) -> str:
    """Return the reason that an exception gives, in a few words without the path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that Pillow reads"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:150]

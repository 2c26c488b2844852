"""What visitors may send: files of this page's own uploads, opened within the package's own bounds."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import is_in_or_equal
from PIL import Image

from hf_cifar.inference.image_reading import read_image, reason

MAX_FILE_BYTES = 20_000_000
MAX_FILES = 1_000


def image_upload(**options: Any) -> gr.Image:
    """Return an image from a file, the clipboard or the camera; a function gets the path of the file as it was sent.

    Args:
        options: of `gradio.Image`.
    """
    image = _own_uploads(gr.Image(type="filepath", **options))

    def preprocess(payload: Any) -> str | None:
        return None if payload is None else str(payload.path)

    # gradio would open the file itself, in any format and without bounds. A subclass would need a front end of its own.
    image.preprocess = preprocess
    return image


def files_upload(**options: Any) -> gr.File:
    """Return several files; a function gets pairs of path and name as it was sent.

    Args:
        options: of `gradio.File`.
    """
    files = _own_uploads(gr.File(file_count="multiple", **options))

    def preprocess(payload: Any) -> list[tuple[str, str]]:
        sent = [] if payload is None else list(payload.root)
        if len(sent) > MAX_FILES:
            raise gr.Error(f"{len(sent):,} files: at most {MAX_FILES:,} at once", print_exception=False)
        return [(str(file.path), file.orig_name or Path(file.path).name) for file in sent]

    files.preprocess = preprocess
    return files


def opened(path: str) -> Image.Image:
    """Return an uploaded image as `pipeline` sees it.

    Raises:
        gradio.Error: it is none, or has too many pixels; the page shows the message.
    """
    try:
        return read_image(path)
    except Exception as error:
        raise gr.Error(
            f"{Path(path).name}: {reason(error)}", title="This image cannot be used", print_exception=False
        ) from error


def _own_uploads(component: Any) -> Any:
    """Let a component take files of this page only.

    gradio itself would copy what a request names, from this machine or from an address, and serve the copy.
    """
    move = component.async_move_resource_to_block_cache

    async def keep(path: Any) -> str | None:
        if path is not None and ("://" in str(path) or not is_in_or_equal(str(path), component.GRADIO_CACHE)):
            raise gr.Error("this file was not uploaded to the page", print_exception=False)
        kept: str | None = await move(path)
        return kept

    component.async_move_resource_to_block_cache = keep
    return component

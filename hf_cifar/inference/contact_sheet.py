"""A contact sheet: one HTML page with every image, small, under what the model calls it."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from hf_cifar.inference.answer_files import WriteRow, readable
from hf_cifar.inference.image_reading import read_image
from hf_cifar.inference.screen import labelled, shown_ood, shown_set
from hf_cifar.run.ood_scores import OodAnswer

SIDE = 192  # pixels of a picture on the page; smaller ones are not enlarged but by the browser
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Predictions of {model}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem }}
h1 {{ font-size: 1.2rem }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem }}
figure {{ margin: 0; overflow-wrap: anywhere; break-inside: avoid }}
img {{ width: 100%; aspect-ratio: 1; object-fit: contain; background: #8882 }}
img[src^="data:image/png"] {{ image-rendering: pixelated }}
b {{ display: block }}
small {{ opacity: .75 }}
</style></head><body>
<h1>Predictions of {model}</h1>
<main>
"""
FIGURE = """<figure><img alt="" loading="lazy" src="data:image/{kind};base64,{picture}">
<figcaption><b>{best}</b>{others}<small>{path}</small></figcaption></figure>
"""
TAIL = "</main></body></html>\n"


@contextmanager
def open_contact_sheet(path: Path, model: str, others: int = 1) -> Iterator[WriteRow]:
    """Yield a function that adds an image to a new page, which holds every picture and opens offline.

    The page is written image by image, so that memory does not grow with their number.

    Args:
        path: of the page.
        model: its name, for the title.
        others: labels under the best one.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD.format(model=escape(model)))

        def write(
            image: str, predictions: list[dict[str, Any]], labels: list[str] | None = None, ood: OodAnswer | None = None
        ) -> None:
            kind, picture = _thumbnail(image)
            best, *rest = (escape(labelled(item)) for item in predictions)
            line = "".join(f"{item}<br>" for item in rest[:others])
            line += "" if labels is None else f"{escape(shown_set(labels))}<br>"
            path_shown = escape(readable(image)).replace("/", "/<wbr>")  # a name in one piece where it fits
            line += "" if ood is None else f"{escape(shown_ood(ood))}<br>"
            file.write(FIGURE.format(kind=kind, picture=picture, best=best, others=line, path=path_shown))

        yield write
        file.write(TAIL)


def _thumbnail(image: str) -> tuple[str, str]:
    """Return the kind and the content of a picture of at most `SIDE` pixels, read as the model has read it."""
    picture = read_image(image)
    small = max(picture.size) <= SIDE // 2
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    # Lossless where JPEG would show its blocks.
    picture.save(content, "PNG") if small else picture.save(content, "JPEG", quality=85)
    return ("png" if small else "jpeg"), base64.b64encode(content.getvalue()).decode()

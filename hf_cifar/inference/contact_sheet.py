"""A contact sheet: one HTML page with every image, small, under what the model calls it."""

import base64
import io
from collections import Counter
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
from hf_cifar.utils.formatting import counted, middle_left_out
from hf_cifar.utils.page.page import page_template

SIDE = 192  # pixels of a picture on the page; smaller ones are not enlarged but by the browser
TEMPLATE = Path(__file__).with_name("contact_sheet.html")
IMAGES = "<!--images-->"  # stands where they go
IMAGE = """<li><img{pixelated} alt="{path}" loading="lazy" src="{source}">
<span class="prediction">{best}</span>{others}<span class="quiet file" title="{path}">{shown}</span></li>
"""
COUNTED = 10  # labels that the summary names


@contextmanager
def open_contact_sheet(path: Path, model: str, others: int = 1) -> Iterator[WriteRow]:
    """Yield a function that adds an image to a new page, which holds every picture and opens offline.

    The page is written image by image, so that memory does not grow with their number.

    Args:
        path: of the page.
        model: its name, for the title.
        others: labels under the best one.
    """
    head, _, tail = page_template(TEMPLATE).render(model=model).partition(IMAGES)
    counts: Counter[str] = Counter()
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{head}<ul class="thumbnails">\n')

        def write(
            image: str, predictions: list[dict[str, Any]], labels: list[str] | None = None, ood: OodAnswer | None = None
        ) -> None:
            counts[predictions[0]["label"]] += 1
            best, *rest = map(_answer, predictions)
            lines = [f'<span class="label">{line}</span>' for line in rest[:others]]
            known = [] if labels is None else [shown_set(labels)]
            known += [] if ood is None else [shown_ood(ood)]
            lines += [f'<span class="label quiet set">{escape(line)}</span>' for line in known]
            source, is_small = _thumbnail(image)
            file.write(
                IMAGE.format(
                    pixelated=' class="pixelated"' if is_small else "",
                    source=source,
                    best=best,
                    others="".join(lines),
                    path=escape(readable(image)),
                    shown=escape(middle_left_out(readable(image))).replace("/", "/<wbr>"),
                )
            )

        yield write
        file.write(f'</ul>\n<p class="after">{escape(_summary(counts))}</p>{tail}')


def _answer(prediction: dict[str, Any]) -> str:
    """Return a label and its score; the label is apart, or one from right to left would take the score with it."""
    label, score = labelled(prediction)
    return f"<bdi>{escape(label)}</bdi> {score}"


def _summary(counts: Counter[str]) -> str:
    """Return `160 images: dog 90, cat 70`, the most frequent labels first."""
    total = counts.total()
    named = [f"{label} {count:,}" for label, count in counts.most_common(COUNTED)]
    named += [f"{len(counts) - COUNTED:,} more labels"] if len(counts) > COUNTED else []
    return f"{counted(total, 'image')}: {', '.join(named)}" if total else "No images."


def _thumbnail(image: str) -> tuple[str, bool]:
    """Return a picture of at most `SIDE` pixels as a data URI, as the model has read it, and whether it is small."""
    picture = read_image(image)
    small = max(picture.size) <= SIDE // 2
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    # Lossless where JPEG would show its blocks.
    picture.save(content, "PNG") if small else picture.save(content, "JPEG", quality=85)
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(content.getvalue()).decode()}", small

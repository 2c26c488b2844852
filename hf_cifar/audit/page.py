"""Write the page of an audit: what a dataset holds, with the pictures side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hf_cifar.audit.audit import Audit
from hf_cifar.audit.findings import Catalogue, Doubt, Findings, Group, Pair
from hf_cifar.evaluation.embedded import small_picture
from hf_cifar.utils.files import write_text
from hf_cifar.utils.formatting import percent
from hf_cifar.utils.page.page import page_template

PAGE_FILE = "audit.html"
TEMPLATE = Path(__file__).with_name("audit.html")
MAX_SHOWN = 48  # pictures or pairs of each kind


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, with the words below it."""

    source: str
    is_tiny: bool
    label: str
    where: str


@dataclass(frozen=True)
class Shown:
    """Pictures that belong together, with a line about them."""

    pictures: list[Picture]
    text: str


def write_page(path: Path, audit: Audit, findings: Findings) -> None:
    """Write `audit.html`, which opens offline and loads nothing.

    Args:
        path: of the file.
        audit: the counts.
        findings: what was found, with the images.
    """
    catalogue, pairs = findings.catalogue, findings.pairs
    across = [pair for pair in pairs if catalogue.split(pair.first) != catalogue.split(pair.second)]
    within = [pair for pair in pairs if catalogue.split(pair.first) == catalogue.split(pair.second)]
    contradictions = [pair for pair in pairs if catalogue.label(pair.first) != catalogue.label(pair.second)]
    text = page_template(TEMPLATE).render(
        audit=audit,
        percent=percent,
        groups=[_group(catalogue, group) for group in findings.groups[:MAX_SHOWN]],
        across=[_pair(catalogue, pair) for pair in across[:MAX_SHOWN]],
        within=[_pair(catalogue, pair) for pair in within[:MAX_SHOWN]],
        contradictions=[_pair(catalogue, pair) for pair in contradictions[:MAX_SHOWN]],
        doubts=[_doubt(catalogue, doubt) for doubt in findings.doubts[:MAX_SHOWN]],
        unreadable=findings.unreadable[:MAX_SHOWN],
        totals={
            "groups": len(findings.groups),
            "across": len(across),
            "within": len(within),
            "contradictions": len(contradictions),
            "doubts": len(findings.doubts),
            "unreadable": len(findings.unreadable),
        },
    )
    write_text(path, text)


def _group(catalogue: Catalogue, group: Group) -> Shown:
    shown: Sequence[int] = group.members[:4]
    more = len(group.members) - len(shown)
    text = f"{len(group.members)} identical" + (f", {more} more" if more else "")
    return Shown([_picture(catalogue, position) for position in shown], text)


def _pair(catalogue: Catalogue, pair: Pair) -> Shown:
    text = f"cosine {pair.cosine:.3f}, {pair.bits} bits differ"
    return Shown([_picture(catalogue, pair.first), _picture(catalogue, pair.second)], text)


def _doubt(catalogue: Catalogue, doubt: Doubt) -> Shown:
    text = f"rather {doubt.suggested}: {percent(doubt.suggested_probability, decimals=1)}"
    return Shown([_picture(catalogue, doubt.position)], text)


def _picture(catalogue: Catalogue, position: int) -> Picture:
    images = catalogue.images_of(position)
    alone = replace(images, index=np.array([catalogue.row(position)]))
    (image,) = alone.decode([0])
    source, is_tiny = small_picture(image)
    return Picture(source, is_tiny, catalogue.label(position), alone.files()[0])

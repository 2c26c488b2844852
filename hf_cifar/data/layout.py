"""Where in a dataset images and labels were found, to be said and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_cifar.data.sources import Source

NAMES_SHOWN = 12
CLASS_FOLDERS = "class folders"


@dataclass(frozen=True)
class Layout:
    """How a dataset is arranged.

    Attributes:
        words: of a local folder: Parquet, class folders, the file that names the images, …; empty for a Hub dataset.
        image_column, label_column: that were chosen.
        other_labels: columns that could have been the labels.
    """

    words: str
    image_column: str
    label_column: str
    other_labels: Sequence[str] = ()

    def describe(self) -> str:
        """Return the arrangement in a few words, with how to choose other labels where there are any."""
        if self.words == CLASS_FOLDERS:
            return self.words
        text = f"columns {self.image_column} and {self.label_column}"
        if self.other_labels:
            text += f", not {' or '.join(self.other_labels)}: --label-column chooses"
        return f"{self.words}: {text}" if self.words else text


def describe_source(source: Source) -> str:
    """Return the name of a dataset, where its images and labels were found, and its classes."""
    names = source.label_names
    if source.layout is None:
        return f"{source.name}, {len(names)} classes"
    shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
    return f"{source.name} ({source.layout.describe()}), {len(names)} classes ({shown})"


def recorded_layout(layout: Layout | None) -> dict[str, Any]:
    """Return what run.yaml records of it."""
    if layout is None:
        return {}
    return {"layout": layout.words, "image_column": layout.image_column, "label_column": layout.label_column}

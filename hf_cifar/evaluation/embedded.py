"""Images as data URIs, with the words that a page shows below them."""

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_cifar.evaluation.figures.image_grid import TINY
from hf_cifar.evaluation.image_table import ImageRow
from hf_cifar.utils.formatting import MIME_TYPES, percent

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 160  # pixels, the longer side of a picture that is not tiny


@dataclass(frozen=True)
class Answer:
    """What a model calls an image.

    Attributes:
        text: the predicted class.
        probability: in percent; empty where it is not shown.
        by: which model says so; empty where there is only one.
        mark: a sign behind it, such as of a right answer.
    """

    text: str
    probability: str = ""
    by: str = ""
    mark: str = ""


@dataclass(frozen=True)
class EmbeddedImage:
    """An image as a page shows it.

    Attributes:
        source: the data URI.
        is_tiny: whether it is to be enlarged pixel by pixel.
        alternative: its alternative text.
        label: class name.
        answers: of one or several models.
        file: what it can be found by.
    """

    source: str
    is_tiny: bool
    alternative: str
    label: str
    answers: list[Answer]
    file: str

    @classmethod
    def of_mistake(cls, row: ImageRow, source: str) -> "EmbeddedImage":
        """Return a misclassified image with its label, prediction and probability."""
        probability = percent(row.prediction_probability, decimals=1)
        alternative = (
            f"Image {row.index}: labelled {row.label}, predicted as {row.prediction} with probability {probability}; "
            f"probability of the label {percent(row.label_probability, decimals=1)}"
        )
        answers = [Answer(row.prediction, probability)]
        return cls(source, source.startswith("data:image/png"), alternative, row.label, answers, row.file)


def small_picture(image: "Image", side: int = SIDE) -> tuple[str, bool]:
    """Return a small copy of an image as a data URI, and whether it is tiny: then every pixel is kept.

    Args:
        image: RGB; it may be changed.
        side: of the copy, in pixels.
    """
    is_tiny = max(image.size) <= TINY
    if not is_tiny:
        image.thumbnail((side, side))
    kind, file = ".png" if is_tiny else ".jpg", io.BytesIO()
    image.save(file, "PNG" if is_tiny else "JPEG", quality=85)
    return f"data:{MIME_TYPES[kind]};base64,{base64.b64encode(file.getvalue()).decode()}", is_tiny

"""Predictions on the screen, for the person who asked."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hf_cifar.inference.answer_files import WriteRow, readable
from hf_cifar.run.ood_scores import OodAnswer
from hf_cifar.utils.progress import write_above

ALWAYS_SHOWN = 2  # labels, however small their scores
LEAST_SHOWN = 0.0005  # of a further label: less would be read as 0.0%


@contextmanager
def answers_to_screen() -> Iterator[WriteRow]:
    """Yield a function that prints an image's labels in one line on standard output, above a progress bar."""

    def write(
        image: str, predictions: list[dict[str, Any]], labels: list[str] | None = None, ood: OodAnswer | None = None
    ) -> None:
        write_above(answer_line(image, predictions, labels, ood), sys.stdout)

    yield write


def answer_line(
    image: str, predictions: list[dict[str, Any]], labels: list[str] | None = None, ood: OodAnswer | None = None
) -> str:
    """Return `9-nine.png  nine 99.3%  eight 0.4%`: the two best labels, and others that are more than 0.0%.

    Nothing in a name moves the cursor or changes the colours of a terminal. A prediction set is at the end of the line,
    and after it an out-of-distribution score.
    """
    shown = [item for rank, item in enumerate(predictions) if rank < ALWAYS_SHOWN or item["score"] >= LEAST_SHOWN]
    parts = [
        readable(image),
        *(" ".join(labelled(item)) for item in shown),
        *([] if labels is None else [shown_set(labels)]),
    ]
    parts += [] if ood is None else [shown_ood(ood)]
    return "  ".join(map(printable, parts))


def labelled(prediction: dict[str, Any]) -> tuple[str, str]:
    """Return a label and its score as it is shown, a percentage where it is a probability."""
    label, score = prediction["label"], prediction["score"]
    return str(label), f"{100 * score:.1f}%" if 0 <= score <= 1 else f"{score:.3g}"


def shown_set(labels: list[str]) -> str:
    """Return a prediction set as `{nine, eight}`."""
    return f"{{{', '.join(labels)}}}"


def shown_ood(ood: OodAnswer) -> str:
    """Return an out-of-distribution score as `OOD score -3.1: out of distribution`."""
    return f"OOD score {ood.score:.3g}" + (": out of distribution" if ood.is_out else "")


def printable(text: str) -> str:
    """Return a text with � in place of characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)

"""Figures under test: made-up predictions, also degenerate ones, and the text of a drawn figure."""

import functools

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from hf_cifar.run.split_metrics import SplitMetrics
from support.made_up_stage import made_up, split_metrics_of

NAMES = ["ape", "bee", "cat", "dog"]
SPLIT = split_metrics_of(*made_up(), NAMES, temperature=1.4)
CASES = (
    "all correct",
    "all wrong",
    "one class missing",
    "ties",
    "one image",
    "two classes",
    "21 classes",
    "150 classes",
    "strange names",
)


@functools.cache
def degenerate(case: str) -> SplitMetrics:
    """Metrics of unusual predictions."""
    labels = np.arange(40) % 4
    correct, wrong = 9.0 * np.eye(4)[labels], 9.0 * np.eye(4)[(labels + 1) % 4]
    many = [f"class {index}" for index in range(150)]
    arguments = {
        "all correct": (correct, labels, NAMES, 0.5),
        "all wrong": (wrong, labels, NAMES, 5.0),
        "one class missing": (correct, np.where(labels == 2, 3, labels), NAMES),
        "ties": (np.zeros((40, 4)), labels, NAMES, 1.0),
        "one image": (correct[:1], labels[:1], NAMES),
        "two classes": (*made_up(50, 2), ["ape", "bee"]),
        "21 classes": (*made_up(500, 21), many[:21], 2.0),
        "150 classes": (*made_up(2000, 150), many, 2.0),
        "strange names": (*made_up(50, 4), ["a$b$c_{", "x" * 200, "two\nlines", "猫 кот"]),
    }
    return split_metrics_of(*arguments[case])


def words(figure: Figure) -> list[str]:
    """All texts of a figure."""
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]

"""The example images of a stage, with the predictions that `examples.json` holds for them."""

import json
from dataclasses import dataclass

from hf_cifar.run.stage_folder import EXAMPLES_FILE, StageFolder


@dataclass(frozen=True)
class Score:
    """The score of one label.

    Attributes:
        label: name of the class.
        score: its softmax probability.
    """

    label: str
    score: float


@dataclass(frozen=True)
class Example:
    """A test image that is kept as a file.

    Attributes:
        file: its name in the folder of the examples.
        label: its true label.
        output: what `pipeline` returns for it, the highest score first.
    """

    file: str
    label: str
    output: list[Score]

    @property
    def is_correct(self) -> bool:
        """Return whether the prediction is the true label."""
        return self.output[0].label == self.label


def read_examples(folder: StageFolder) -> list[Example]:
    """Return the examples of a stage whose images exist; an empty list where it has none."""
    file = folder.examples / EXAMPLES_FILE
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return [
        Example(row["file"], str(row["label"]), [Score(str(item["label"]), item["score"]) for item in row["output"]])
        for row in rows
        if (folder.examples / row["file"]).is_file()
    ]

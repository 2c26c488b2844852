"""Seconds until the command line answers: `--help`, and the prediction of one image."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks import package
from benchmarks.machine import ROOT
from benchmarks.measuring import Comparison, python, require
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting

RUN = str(ROOT / "scripts" / "run.py")
FLOOR = (
    "import torch, torchvision, transformers; "
    "from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline"
)
PIPELINE = (
    "import json, sys; from transformers import pipeline; "
    "print(json.dumps(pipeline('image-classification', sys.argv[1])(sys.argv[2])))"
)


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the rows of start-up, each run in a fresh process."""
    yield Comparison(
        "start-up",
        "--help",
        "python -c pass",
        "value",
        lambda: python(RUN, "--help"),
        lambda: python("-c", "pass"),
        lambda ours, theirs: require("--stage" in ours[-1], "it prints its options"),
        Goal("<", 0.3),
    ).measure(setting.rounds)
    images = package.Images.load(setting.dataset, 10)
    model, processor = package.resnet18(setting, images.label_names)
    folder = setting.new_folder("start-up")
    package.save_model(model, package.at_size(processor, setting.side_or(64)), folder / "model")
    image = package.save_images(images.train, folder)[0]
    answers = folder / "answers.csv"

    def ours() -> list[str]:
        command = ("--stage", "predict", "--checkpoint", str(folder / "model"), "--images", image)
        python(RUN, *command, "--output", str(answers), "--overwrite")
        return _labels(answers)

    def theirs() -> list[str]:
        answer = json.loads(python("-c", PIPELINE, str(folder / "model"), image))
        return [str(item["label"]) for item in answer]

    yield Comparison(
        "start-up",
        "--stage predict of one image",
        "a Python that only imports torch, torchvision and the classes of transformers that are needed",
        "share",
        ours,
        lambda: python("-c", FLOOR),
        lambda own, others: require(len(own[-1]) > 0, "a floor: the other side computes nothing"),
    ).measure(setting.process_rounds)
    yield Comparison(
        "start-up",
        "--stage predict of one image",
        "pipeline('image-classification', MODEL)(IMAGE) in a fresh Python",
        "share",
        ours,
        theirs,
        lambda own, others: require(own[-1] == others[-1], f"the same {len(own[-1])} labels in the same order"),
    ).measure(setting.process_rounds)


def _labels(answers: Path) -> list[str]:
    """Return the labels of the first row, the likeliest first."""
    row = next(csv.DictReader(answers.open(newline="")))
    return [value for name, value in row.items() if name.startswith("label")]

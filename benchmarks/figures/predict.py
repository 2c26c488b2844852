"""Many files answered by the package, against `pipeline` with the same batches."""

from collections.abc import Iterator
from typing import Any

import torch
from transformers import pipeline

from benchmarks import package
from benchmarks.measuring import Comparison, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

Answers = list[list[dict[str, Any]]]


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the row of prediction."""
    side = setting.side_or(64)
    images = package.Images.load(setting.dataset, setting.images)
    model, processor = package.resnet18(setting, images.label_names)
    folder = setting.new_folder("predict")
    package.save_model(model, package.at_size(processor, side), folder / "model")
    files = package.save_images(images.train, folder)
    predict = package.predictor(folder / "model")
    theirs = pipeline("image-classification", model=str(folder / "model"), device=torch.device(setting.device))

    def same(ours: list[Answers], others: list[Answers]) -> str:
        apart = 0.0
        for own, other in zip(ours[-1], others[-1], strict=True):
            scores = {item["label"]: item["score"] for item in other}
            apart = max(apart, *(abs(item["score"] - scores.get(item["label"], 2.0)) for item in own))
        return require(apart <= 1e-5, f"scores of {len(files):,} files apart by {apart:.1e} at most (allowed 1e-05)")

    yield Comparison(
        "predict",
        f"predict {len(files):,} PNG files at {side} px",
        f"pipeline(files, batch_size={BATCH})",
        "faster",
        lambda: predict(files),
        lambda: theirs(files, batch_size=BATCH),
        same,
        Goal(">=", 1),
    ).measure(setting.rounds)

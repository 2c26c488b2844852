"""What fine-tuning waits for, as a run records it: its images, and its checkpoints."""

from collections.abc import Iterator
from typing import Any

from benchmarks import package
from benchmarks.measuring import Comparison, FigureError, Timed, quiet, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

EPOCHS = 5  # with a checkpoint each
FEWEST = 128  # training images of an epoch with a checkpoint: a second of work or more


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the rows of the input wait and of the checkpoint wait, from runs of `--stage finetune`."""
    yield _input_wait(setting)
    yield _checkpoint_wait(setting)


def _input_wait(setting: Setting) -> Row:
    side = setting.side_or(224 if setting.on_gpu else 64)
    batch = 256 if setting.on_gpu else BATCH
    samples = []
    for number in range(setting.process_rounds + 1):
        options = {"image_size": side, "bf16": setting.on_gpu, "train_batch_size": batch, "seed": number}
        value = 100 * _recorded(setting, options)["input_wait_fraction"]
        if number:
            samples.append(value)
    return Row(
        "wait",
        f"input wait of a fine-tuning step, {setting.images:,} images at {side} px, batches of {batch}",
        "none: the share that train.input_wait_fraction in metrics.json states",
        "value",
        "%",
        samples,
        goal=Goal("<", 5 if setting.on_gpu else 3),
        compared="one side only",
    )


def _checkpoint_wait(setting: Setting) -> Row:
    side, epochs = setting.side_or(64), 2 if setting.quick else EPOCHS
    images = setting.images if setting.on_gpu else min(setting.images, FEWEST)
    options = {"image_size": side, "max_train_samples": images, "num_train_epochs": epochs}

    def side_of(at_once: bool) -> Timed:
        train = _recorded(setting, options, at_once)
        return Timed(train["checkpoint_wait_seconds"] / epochs, train["chosen"])

    return Comparison(
        "wait",
        f"what fine-tuning of ResNet-18 waits for a checkpoint, {epochs} epochs of {images:,} images at {side} px",
        "the same checkpoints, each on the disk with its checksums before the next step",
        "faster",
        lambda: side_of(False),
        lambda: side_of(True),
        lambda own, others: require(own == others, "the same epoch is chosen, with the same validation metric"),
    ).measure(setting.rounds)


def _recorded(setting: Setting, options: dict[str, Any], at_once: bool = False) -> dict[str, Any]:
    with quiet():
        train = package.finetuning_metrics(setting, options, at_once)
    for key in ("input_wait_fraction", "checkpoint_wait_seconds"):
        if train.get(key) is None:
            raise FigureError(f"metrics.json has no train.{key}")
    return train

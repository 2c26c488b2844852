"""What fine-tuning waits for, as a run records it: its images, and its checkpoints."""

from collections.abc import Iterator
from typing import Any

from benchmarks import package
from benchmarks.measuring import FigureError, quiet
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

EPOCHS = 5  # with a checkpoint each
FEWEST = 320  # training images of an epoch with a checkpoint: seconds of work


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the rows of the input wait and of the checkpoint wait, from runs of `--stage finetune`."""
    yield _input_wait(setting)
    yield _checkpoint_wait(setting)


def _input_wait(setting: Setting) -> Row:
    side = setting.side_or(224 if setting.on_gpu else 64)
    batch = 256 if setting.on_gpu else BATCH
    options = {"image_size": side, "bf16": setting.on_gpu, "train_batch_size": batch}
    return Row(
        "wait",
        f"input wait of a fine-tuning step, {setting.images:,} images at {side} px, batches of {batch}",
        "none: the share that train.input_wait_fraction in metrics.json states",
        "value",
        "%",
        [100 * value for value in _recorded(setting, "input_wait_fraction", options)],
        goal=Goal("<", 5 if setting.on_gpu else 3),
        compared="one side only",
    )


def _checkpoint_wait(setting: Setting) -> Row:
    side, epochs = setting.side_or(64), 2 if setting.quick else EPOCHS
    images = setting.images if setting.on_gpu else min(setting.images, FEWEST)
    options = {"image_size": side, "max_train_samples": images, "num_train_epochs": epochs}
    return Row(
        "wait",
        f"what fine-tuning of ResNet-18 waits for a checkpoint, {epochs} epochs of {images:,} images at {side} px",
        "none: what train.checkpoint_wait_seconds in metrics.json states, for each checkpoint",
        "value",
        "s",
        [value / epochs for value in _recorded(setting, "checkpoint_wait_seconds", options)],
        compared="one side only",
    )


def _recorded(setting: Setting, key: str, options: dict[str, Any]) -> list[float]:
    """Return what each run says of its training, but for a first run that does not count."""
    samples = []
    for number in range(setting.process_rounds + 1):
        with quiet():
            train = package.finetuning_metrics(setting, {**options, "seed": number})
        if key not in train:
            raise FigureError(f"metrics.json has no train.{key}")
        samples.append(float(train[key]))
    return samples[1:]

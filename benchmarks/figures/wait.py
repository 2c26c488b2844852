"""The share of a fine-tuning step that waits for its images, as a run records it."""

from collections.abc import Iterator

from benchmarks import package
from benchmarks.measuring import FigureError, quiet
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

KEY = "input_wait_fraction"


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the row of the input wait, from runs of `--stage finetune`."""
    side = setting.side_or(224 if setting.on_gpu else 64)
    batch = 256 if setting.on_gpu else BATCH
    options = {"image_size": side, "bf16": setting.on_gpu, "train_batch_size": batch}
    samples = []
    for number in range(setting.process_rounds + 1):
        with quiet():
            train = package.finetuning_metrics(setting, {**options, "seed": number})
        if KEY not in train:
            raise FigureError(f"metrics.json has no train.{KEY}")
        if number:
            samples.append(100 * float(train[KEY]))
    yield Row(
        "wait",
        f"input wait of a fine-tuning step, {setting.images:,} images at {side} px, batches of {batch}",
        "none: the share that train.input_wait_fraction in metrics.json states",
        "value",
        "%",
        samples,
        goal=Goal("<", 5 if setting.on_gpu else 3),
        compared="one side only",
    )

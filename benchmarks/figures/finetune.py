"""Whole epochs of fine-tuning, against the stock `transformers` example's way."""

import copy
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import package, stock
from benchmarks.measuring import Comparison, Timed, quiet, require
from benchmarks.row import Goal, Row
from benchmarks.setting import BATCH, Setting

EPOCHS = 2
LEARNING_RATE, WARMUP = 0.01, 0.05


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the row of fine-tuning."""
    side, workers = setting.side_or(64), setting.stock_workers
    images = package.Images.load(setting.dataset, setting.images)
    _, processor = package.resnet18(setting, images.label_names)
    preprocessing = stock.Preprocessing.of(package.at_size(processor, side))
    parts = {part: package.contents(part_images) for part, part_images in _parts(images).items()}
    size = stock.opened(parts["train"][0]).size
    train = stock.example_dataset(parts["train"], images.train.targets, preprocessing.training(size))
    validation = stock.example_dataset(parts["validation"], images.validation.targets, preprocessing.evaluation())
    seeds = {"ours": 0, "theirs": 0}
    # BatchNorm trains on both sides, as `Trainer` lets it.
    options = {
        "bn": "train",
        "augment": "standard",
        "num_train_epochs": EPOCHS,
        "train_batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "warmup_steps": WARMUP,
        "scheduler": "cosine",
        "optim": "sgd",
    }

    def ours() -> Timed:
        seeds["ours"] += 1
        with quiet():
            return package.finetune(setting, images, side, {**options, "seed": seeds["ours"]})

    def theirs() -> Timed:
        seeds["theirs"] += 1
        start = package.start_of(setting, images.label_names, {**options, "seed": seeds["theirs"]})
        network: Any = copy.deepcopy(start)
        with setting.scratch("example") as folder, quiet():
            begun = time.perf_counter()
            steps, accuracy = stock.example_training(
                network,
                train,
                validation,
                folder,
                LEARNING_RATE,
                WARMUP,
                num_train_epochs=EPOCHS,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=BATCH,
                dataloader_num_workers=workers,
                dataloader_pin_memory=setting.on_gpu,
                seed=seeds["theirs"],
            )
            seconds = time.perf_counter() - begun
        return Timed(seconds, package.Finetuned(steps, accuracy))

    yield Comparison(
        "finetune",
        f"fine-tuning, {EPOCHS} epochs of {len(images.train):,} images at {side} px, validation of "
        f"{len(images.validation):,} and a checkpoint after each; ours also validates the start",
        "the stock example's way: set_transform with PIL and torchvision an image, Trainer, load_best_model_at_end, "
        f"{workers} loader processes; same network, batches, augmentation, optimizer and schedule",
        "faster",
        ours,
        theirs,
        lambda own, others: _same(own, others, len(images.validation)),
        Goal(">=", 1.25),
    ).measure(setting.rounds)


def _parts(images: package.Images) -> dict[str, Any]:
    return {"train": images.train, "validation": images.validation}


def _same(ours: list[package.Finetuned], theirs: list[package.Finetuned], num_validation: int) -> str:
    steps = {outcome.steps for outcome in (*ours, *theirs)}
    own, others = (sum(outcome.accuracy for outcome in side) / len(side) for side in (ours, theirs))
    # Every round has another seed and the same validation images.
    error = (2 * 0.25 / num_validation) ** 0.5
    return require(
        len(steps) == 1 and abs(own - others) <= 3 * error,
        f"{', '.join(map(str, sorted(steps)))} steps each; mean accuracy on validation {own:.1%} and {others:.1%} over "
        f"{len(ours)} seeds (allowed: {3 * error:.1%} apart)",
    )

"""The `TrainingArguments` of fine-tuning."""

import math

import torch
from transformers import TrainingArguments

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.loader import default_workers
from hf_cifar.errors import InputError
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.training.selection import GREATER_IS_BETTER
from hf_cifar.training.trainer import training_arguments
from hf_cifar.utils import processes
from hf_cifar.utils.progress import say

RESERVED = {"lr_scheduler_type": "use --scheduler"}
EVAL_BATCH_SIZE = 64


def finetune_arguments(config: RunConfig, folder: StageFolder) -> TrainingArguments:
    """Return the `TrainingArguments` of fine-tuning.

    Raises:
        InputError: an argument is unknown, reserved or does not fit.
    """
    given = dict(config.finetune.training)
    find_batch_size = given.pop("auto_find_batch_size", False)
    metric = config.finetune.selection_metric
    arguments = training_arguments(
        given,
        folder.checkpoints,
        config.seed,
        RESERVED,
        per_device_eval_batch_size=EVAL_BATCH_SIZE,
        metric_for_best_model=metric,
        greater_is_better=GREATER_IS_BETTER[metric],
        # Layers that are frozen for a while are not part of the graph until they are unfrozen.
        ddp_find_unused_parameters=config.finetune.unfreeze == "gradual",
    )
    if arguments.save_strategy not in ("epoch", "steps"):
        raise InputError(
            f"--save-strategy {arguments.save_strategy}: the best epoch is kept by its checkpoint; use epoch or steps"
        )
    if find_batch_size and processes.count() > 1:
        raise InputError("--auto-find-batch-size works with one process: give several a smaller --train-batch-size")
    if "dataloader_num_workers" not in given:
        arguments.dataloader_num_workers = default_workers(arguments.device)
    return arguments


def refuse_long_warmup(arguments: TrainingArguments, num_images: int) -> None:
    """Refuse a warm-up that does not end within the run.

    Args:
        arguments: of fine-tuning.
        num_images: that it trains on.

    Raises:
        InputError: it has as many steps as the run, or more.
    """
    batch = arguments.train_batch_size * processes.count() * arguments.gradient_accumulation_steps
    per_epoch = max(1, math.ceil(num_images / batch))
    steps = arguments.max_steps if arguments.max_steps > 0 else math.ceil(arguments.num_train_epochs * per_epoch)
    warmup = arguments.get_warmup_steps(steps)
    if arguments.warmup_steps > 1 and warmup >= steps:
        raise InputError(
            f"--warmup-steps {warmup:,}: the run has only {steps:,} steps; give fewer, or a fraction such as 0.1"
        )


def divide_batch(arguments: TrainingArguments) -> None:
    """Divide the batch into equal parts whose gradients are accumulated, so that the steps stay the same.

    Raises:
        InputError: the batch is a single image.
    """
    size = arguments.per_device_train_batch_size
    if size == 1:
        raise InputError("--auto-find-batch-size: a single image does not fit into memory; use a smaller --image-size")
    # Without a remainder, or the parts would not add up to the same step: 64 in halves, 9 in thirds.
    parts = next(divisor for divisor in range(2, size + 1) if size % divisor == 0)
    arguments.per_device_train_batch_size = size // parts
    arguments.gradient_accumulation_steps *= parts
    say(f"out of memory: continuing with batches of {size // parts}, {parts} of them for {size} images")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

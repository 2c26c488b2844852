"""The `TrainingArguments` of fine-tuning."""

from transformers import TrainingArguments

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.loader import default_workers
from hf_cifar.errors import InputError
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.training.selection import GREATER_IS_BETTER
from hf_cifar.training.trainer import training_arguments
from hf_cifar.utils import processes

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

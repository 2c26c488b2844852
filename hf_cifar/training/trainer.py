"""`transformers.Trainer`, with what both stages need of it."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from hf_cifar.config.fields import flag
from hf_cifar.config.run_config import TRAIN_BATCH_SIZE
from hf_cifar.data.loader import PADDING_LABEL, TrainBatches, as_is, image_loader
from hf_cifar.errors import InputError, Interrupted, unknown_name
from hf_cifar.training.checkpoints import KEEP, CheckpointCallback, Saved
from hf_cifar.training.interruption import InterruptionCallback
from hf_cifar.training.loss import LossMeter, summed_cross_entropy
from hf_cifar.utils import processes

RESERVED = {
    "remove_unused_columns": "it must stay off, or the images never reach their transform",
    "label_names": "the package knows its labels",
    "do_train": "--stage says what is done",
    "do_eval": "--stage says what is done",
    "do_predict": "--stage says what is done",
    "eval_strategy": "each stage is evaluated on validation after every epoch",
    "eval_steps": "each stage is evaluated on validation after every epoch",
    "load_best_model_at_end": "the best is always kept, chosen on validation",
    "metric_for_best_model": "the probe chooses by accuracy; for fine-tuning use --selection-metric",
    "greater_is_better": "it follows from --selection-metric",
    "resume_from_checkpoint": "use --resume, which checks that the folder belongs to this run",
    "ignore_data_skip": "a resumed run must see the images that the uninterrupted one sees",
    "save_only_model": "--resume needs the optimizer",
    "enable_jit_checkpoint": "SIGTERM makes a checkpoint as it is",
    "prediction_loss_only": "predictions are what is evaluated",
    "push_to_hub": "give --push-to-hub with --hub-model-id: the model is pushed once, when training is done",
    "hub_model_id": "give --push-to-hub with --hub-model-id: the model is pushed once, when training is done",
    "hub_strategy": "the model is pushed once, when training is done",
    "hub_always_push": "the model is pushed once, when training is done",
    "hub_private_repo": "a new repository is private, or public with --public",
    "hub_revision": "--revision names the branch that is pushed to",
    "logging_nan_inf_filter": "a bad loss ends training",
    "average_tokens_across_devices": "the images of a step are counted over all processes",
    "train_sampling_strategy": "images are shuffled by seed and epoch",
    "activation_checkpointing": "use --gradient-checkpointing",
    "gradient_checkpointing": "set it outside of training, as finetune.gradient_checkpointing",
    "deepspeed": "every process holds the whole model: use torchrun or accelerate launch",
    "fsdp": "every process holds the whole model: use torchrun or accelerate launch",
}


DEFAULTS = {
    "report_to": "none",
    "disable_tqdm": True,
    "logging_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": KEEP,
}
FIXED = {
    "eval_strategy": "epoch",
    "remove_unused_columns": False,
    "label_names": ["labels"],
    # What Trainer does with a bad loss is to log another one in its place.
    "logging_nan_inf_filter": False,
    "average_tokens_across_devices": True,
}


class StageTrainer(Trainer):
    """A `Trainer` that takes finished batches, and takes the same steps however they are divided.

    Its loss is the cross-entropy summed over the images of a step, divided by their number: over all processes and
    all parts of an accumulated step, the last and smaller ones too.

    Args:
        model, args, kwargs: as of `Trainer`. A `train_dataset` hands out finished batches; its `labels` are
            int64 [n], and its `targets`, where it has them, float [n, classes], what the network is to answer.
        resume: the checkpoint to go on from.
        callbacks: beside those that every stage has.
        saved: what goes into checkpoints beside the usual.
        every_epoch: whether each epoch needs a checkpoint, so that the best can be taken from it.
        watched: whether a loss or a weight that is no longer a number ends training.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        resume: Path | None,
        callbacks: Sequence[TrainerCallback],
        saved: Sequence[Saved] = (),
        every_epoch: bool = False,
        watched: bool = True,
        **kwargs: Any,
    ) -> None:
        self.meter = LossMeter(watched)
        self.rates: list[float] = []
        self.resume = resume
        self.interruption = InterruptionCallback()
        checkpoints = CheckpointCallback(
            Path(str(args.output_dir)),
            [self.meter, *saved],
            resume,
            keep=args.save_total_limit or KEEP,
            every_epoch=every_epoch,
            watched=watched,
        )
        # Checkpoints are removed by that callback, once a newer one is whole; Trainer would do it before.
        args = copy.copy(args)
        args.save_total_limit = None
        # Trainer counts the images of a step only for a loss that asks for them, as this one does.
        super().__init__(
            model,
            args,
            data_collator=as_is,
            compute_loss_func=summed_cross_entropy,
            callbacks=[*callbacks, self.interruption, checkpoints],
            **kwargs,
        )
        self.remove_callback(PrinterCallback)

    def run(self) -> TrainerState:
        """Train, from the checkpoint to resume where there is one, to the end.

        Returns:
            The state at the end, with the whole history.

        Raises:
            Interrupted: a signal came; a checkpoint was made.
            TrainingError: the loss or the weights are no longer numbers.
        """
        if self.resume is not None and isinstance(self.model, PreTrainedModel):
            # Trainer takes the tensors of a checkpoint by their names in its file, which in some families, such as
            # ViT, are not those of the model: it would go on from other weights, with no more than a warning.
            self.model.load_state_dict(type(self.model).from_pretrained(self.resume).state_dict())
        try:
            self.train(resume_from_checkpoint=str(self.resume) if self.resume else None)
        finally:
            self.interruption.give_back()
        if self.interruption.caught is not None:
            raise Interrupted(self.interruption.caught, f"checkpoint-{self.state.global_step}")
        return self.state

    def get_train_dataloader(self) -> DataLoader:
        """This process's part of every batch, in the order of `TrainBatches`."""
        assert self.train_dataset is not None
        args = self.args
        batches = TrainBatches(
            len(self.train_dataset),  # type: ignore[arg-type]
            self._train_batch_size * processes.count(),
            seed=args.seed if args.data_seed is None else args.data_seed,
            rank=processes.rank(),
            processes=processes.count(),
            drop_last=args.dataloader_drop_last,
        )
        self.steps_per_epoch = max(1, -(-len(batches) // args.gradient_accumulation_steps))
        workers = args.dataloader_num_workers
        return image_loader(
            self.train_dataset,
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers and workers > 0,
            prefetch_factor=args.dataloader_prefetch_factor if workers > 0 else None,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The loss of a batch; in training with label smoothing and mixed targets, in evaluation plain."""
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        targets = inputs.pop("targets", None)
        outputs = model(**inputs)
        smoothing = self.args.label_smoothing_factor if model.training else 0.0
        loss = summed_cross_entropy(outputs, labels, targets=targets, smoothing=smoothing)
        if num_items_in_batch is None:
            num_items_in_batch = (labels != PADDING_LABEL).sum().clamp_min(1)
        else:
            # The gradients of the processes are averaged, and their images counted together.
            loss = loss * processes.count()
        loss = loss / num_items_in_batch
        # Some networks answer more than logits, such as those of each of their heads.
        return (loss, {"logits": outputs["logits"]}) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """As `Trainer.training_step`; the loss and the rates it was taken at are kept for the history."""
        assert self.optimizer is not None
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        loss = super().training_step(model, inputs, *args, **kwargs)
        self.meter.add(loss, self.state.global_step, self.state.epoch, max(self.rates))
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        # Without clipping, Trainer learns the norm by clipping at infinity, which makes every gradient NaN where one
        # is infinite: the heads of a grid would fall with the one that diverges.
        return grad_norm

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As `Trainer.log`, with the loss since the last log, also of steps before an interruption."""
        if "loss" in logs:
            logs["loss"] = self.meter.mean(self.state.global_step)
            logs.pop("learning_rate", None)
            logs.update(self.named_rates())
        super().log(logs, *args, **kwargs)

    def named_rates(self) -> dict[str, float]:
        """The learning rates of the last step, as columns of the history."""
        return {"learning_rate": self.rates[0]} if self.rates else {}


def training_arguments(
    given: dict[str, Any], folder: Path, seed: int, reserved: dict[str, str] | None = None, **defaults: Any
) -> TrainingArguments:
    """`TrainingArguments` of a stage: the package's own, then the stage's defaults, then what recipe and user say.

    Args:
        given: fields of TrainingArguments, from the recipe, a file or the command line; and `train_batch_size`, the
            images of a batch over all processes, which `per_device_train_batch_size` overrules.
        folder: of the checkpoints.
        seed: of everything.
        reserved: fields that cannot be given in this stage, with the reason.
        defaults: of the stage.

    Raises:
        InputError: a field that does not exist (the nearest is named), that is the package's own, or a bad value.
    """
    _refuse(given, {**RESERVED, **(reserved or {})})
    given = dict(given)
    batch_size = given.pop(TRAIN_BATCH_SIZE, None)
    if batch_size is not None and "per_device_train_batch_size" not in given:
        given["per_device_train_batch_size"] = _divided(batch_size)
    values = {
        "dataloader_pin_memory": torch.cuda.is_available(),
        # Left alone, several processes on a machine without an accelerator do not find each other.
        "use_cpu": not torch.accelerator.is_available(),
        **DEFAULTS,
        **defaults,
        **given,
        **FIXED,
        "output_dir": str(folder),
        "seed": seed,
        "data_seed": given.get("data_seed", seed),
    }
    try:
        args = TrainingArguments(**values)
        args.device  # noqa: B018  (it is here that the processes find each other)
    except (ValueError, TypeError, ImportError) as error:
        raise InputError(f"training arguments: {' '.join(str(error).split())[:300]}") from error
    if args.world_size != processes.count():
        raise InputError(
            f"{processes.count()} processes were started, but transformers sees {args.world_size}: "
            "start them by torchrun or accelerate launch"
        )
    if args.n_gpu > 1:
        # Replicas in threads would each count for themselves; torchrun is the way to several devices.
        args._n_gpu = 1
    return args


def _refuse(given: dict[str, Any], reserved: dict[str, str]) -> None:
    known = TrainingArguments.__dataclass_fields__
    for name in given:
        if name not in (*known, TRAIN_BATCH_SIZE):
            raise unknown_name("training argument", name, known)
        if name in reserved:
            raise InputError(f"{flag(name)} cannot be set: {reserved[name]}")


def _divided(batch_size: Any) -> int:
    count = processes.count()
    if not isinstance(batch_size, int) or batch_size < count or batch_size % count:
        raise InputError(
            f"--train-batch-size is {batch_size!r}: it must be a number of images that {count} processes can share"
        )
    return batch_size // count

"""`transformers.Trainer` with what both training stages need, and its `TrainingArguments`."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)

from hf_cifar.config.fields import flag
from hf_cifar.config.training_arguments import TRAIN_BATCH_SIZE
from hf_cifar.data.loader import PADDING_LABEL, TrainBatches, WorkersReleased, as_is
from hf_cifar.errors import InputError, Interrupted, unknown_name
from hf_cifar.training.checkpoints import KEEP, CheckpointCallback, Saved
from hf_cifar.training.imbalance import Rebalancing
from hf_cifar.training.input_wait import InputClock
from hf_cifar.training.interruption import InterruptionCallback
from hf_cifar.training.loss import LossMeter, summed_cross_entropy
from hf_cifar.training.trackers.choice import local_trackers
from hf_cifar.training.trackers.tracker import TrackerCallback
from hf_cifar.training.trainer_compat import checkpoint_weights, count_images, make_loader, use_one_gpu
from hf_cifar.utils import interruption, processes
from hf_cifar.utils.random_state import seed_of_32_bits

RESERVED = {
    "remove_unused_columns": "it must stay off, or the images never reach their transform",
    "label_names": "the package knows its labels",
    "do_train": "--stage decides what is run",
    "do_eval": "--stage decides what is run",
    "do_predict": "--stage decides what is run",
    "eval_strategy": "each stage is evaluated on validation after every epoch",
    "eval_steps": "each stage is evaluated on validation after every epoch",
    "load_best_model_at_end": "the best epoch on validation is always kept",
    "metric_for_best_model": "the probe chooses by accuracy; for fine-tuning use --selection-metric",
    "greater_is_better": "it follows from --selection-metric",
    "resume_from_checkpoint": "use --resume, which checks that the folder belongs to this run",
    "ignore_data_skip": "a resumed run must see the same images as an uninterrupted one",
    "save_only_model": "--resume needs the optimizer",
    "enable_jit_checkpoint": "SIGTERM already saves a checkpoint",
    "prediction_loss_only": "evaluation needs the predictions",
    "push_to_hub": "give --push-to-hub with --hub-model-id: the model is pushed once, after training",
    "hub_model_id": "give --push-to-hub with --hub-model-id: the model is pushed once, after training",
    "hub_strategy": "the model is pushed once, after training",
    "hub_always_push": "the model is pushed once, after training",
    "hub_private_repo": "a new repository is private, or public with --public",
    "hub_revision": "--revision names the branch to push to",
    "logging_nan_inf_filter": "a loss that is not finite stops training",
    "average_tokens_across_devices": "the images of a step are counted over all processes",
    "train_sampling_strategy": "images are shuffled by seed and epoch",
    "activation_checkpointing": "use --gradient-checkpointing",
    "gradient_checkpointing": "set finetune.gradient_checkpointing instead, outside of training",
    "deepspeed": "every process holds the whole model: use torchrun or accelerate launch",
    "fsdp": "every process holds the whole model: use torchrun or accelerate launch",
}


DEFAULTS = {
    "report_to": "none",
    "logging_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": KEEP,
}
FIXED = {
    "eval_strategy": "epoch",
    "remove_unused_columns": False,
    # Trainer's own bars and lines: `ProgressCallback` of this package takes their place.
    "disable_tqdm": True,
    "label_names": ["labels"],
    # Trainer would log an earlier loss in place of one that is not finite.
    "logging_nan_inf_filter": False,
    "average_tokens_across_devices": True,
}


class StageTrainer(Trainer):
    """A `Trainer` for datasets that return whole batches, whose steps do not depend on how a batch is divided.

    The loss of a step is the cross-entropy summed over its images and divided by their number: over all processes and
    all parts of an accumulated step, also the last and smaller ones. Images are counted, not their class weights, whose
    mean is 1 over the training images: divided by the weights of a batch, as `CrossEntropyLoss(weight=…)` does by
    default, the step would depend on which images share the batch.

    Args:
        model, args, kwargs: as for `Trainer`. A `train_dataset` returns whole batches; its `labels` are int64 [n], and
            its `targets`, if it has them, are float [n, classes], the probabilities to be learned.
        resume: checkpoint to continue from.
        callbacks: in addition to those of every stage.
        saved: saved in checkpoints in addition to what `Trainer` saves.
        every_epoch: save a checkpoint after every epoch, so that the best one can be kept.
        watched: stop training when the loss or a weight is no longer finite.
        finish: makes on the device what the model takes of a training batch, which a `train_dataset` returns raw.
        clock: measures the steps, and what they wait for input.
        balance: what is done about classes of unequal size, in training only.
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
        finish: Callable[[dict[str, Any]], dict[str, torch.Tensor]] | None = None,
        clock: InputClock | None = None,
        balance: Rebalancing | None = None,
        **kwargs: Any,
    ) -> None:
        self.finish = finish
        self.clock = clock or InputClock()
        self.meter = LossMeter(watched)
        self.rates: list[float] = []
        self.resume = resume
        self.interruption = InterruptionCallback()
        self.checkpoints = CheckpointCallback(
            Path(str(args.output_dir)),
            [self.meter, *saved],
            resume,
            keep=args.save_total_limit or KEEP,
            every_epoch=every_epoch,
            watched=watched,
        )
        # That callback removes checkpoints once a newer one is complete; Trainer would remove them before.
        args = copy.copy(args)
        args.save_total_limit = None
        trackers = local_trackers(args, Path(str(args.output_dir)).parent)
        args.report_to = [name for name in args.report_to or () if name not in trackers]
        super().__init__(
            model,
            args,
            data_collator=as_is,
            callbacks=[self.clock, *callbacks, self.interruption, self.checkpoints],
            **count_images(summed_cross_entropy),
            **kwargs,
        )
        self.remove_callback(PrinterCallback)
        for tracker in trackers.values():
            self.add_callback(TrackerCallback(tracker))
        self.balance = (balance or Rebalancing()).to(self.args.device)

    def run(self) -> TrainerState:
        """Train to the end, from the checkpoint to resume if there is one.

        Returns:
            The final state, with the whole history.

        Raises:
            Interrupted: a signal arrived; a checkpoint was saved.
            TrainingError: the loss or the weights are no longer finite.
        """
        if self.resume is not None and isinstance(self.model, PreTrainedModel):
            self.model.load_state_dict(checkpoint_weights(self.model, self.resume))
        try:
            # Signals are answered by a checkpoint here, also one whose exception was lost before training began.
            with interruption.deferred(), WorkersReleased():
                self.train(resume_from_checkpoint=str(self.resume) if self.resume else None)
        finally:
            self.checkpoints.close()
            self.interruption.restore_handlers()
        if self.interruption.caught is not None:
            raise Interrupted(self.interruption.caught, f"checkpoint-{self.state.global_step}")
        return self.state

    def get_train_dataloader(self) -> DataLoader:
        """Return a loader over this process's part of every batch, in the order of `TrainBatches`."""
        assert self.train_dataset is not None
        args = self.args
        batches = TrainBatches(
            len(self.train_dataset),  # type: ignore[arg-type]
            args.train_batch_size * processes.count(),
            seed=args.seed if args.data_seed is None else args.data_seed,
            rank=processes.rank(),
            processes=processes.count(),
            drop_last=args.dataloader_drop_last,
            with_previous=getattr(self.train_dataset, "mixes", False),
            balanced=self.train_dataset.labels if self.balance.sampling else None,  # type: ignore[union-attr]
        )
        self.steps_per_epoch = max(1, -(-len(batches) // args.gradient_accumulation_steps))
        return make_loader(self.train_dataset, args, batches)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Collect the batches of a step as `Trainer.get_batch_samples`, on the clock."""
        with self.clock.waiting():
            return super().get_batch_samples(*args, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the loss of a batch; label smoothing, mixed targets and class weights apply in training only."""
        inputs = self.finish(inputs) if self.finish is not None and model.training else dict(inputs)
        labels = inputs.pop("labels")
        targets = inputs.pop("targets", None)
        outputs = model(**inputs)
        options = {"smoothing": self.args.label_smoothing_factor, **self.balance.of_loss} if model.training else {}
        loss = summed_cross_entropy(outputs, labels, targets=targets, **options)
        if num_items_in_batch is None:
            num_items_in_batch = (labels != PADDING_LABEL).sum().clamp_min(1)
        else:
            # Gradients are averaged over the processes, while images are counted over all of them.
            loss = loss * processes.count()
        loss = loss / num_items_in_batch
        # Some networks return more than logits, such as those of each of their heads.
        return (loss, {"logits": outputs["logits"]}) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Take `Trainer.training_step`, and keep its loss and learning rates for the history."""
        assert self.optimizer is not None
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        loss = super().training_step(model, inputs, *args, **kwargs)
        self.meter.add(loss, self.state.global_step, self.state.epoch, max(self.rates))
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log as `Trainer.log`, with the mean loss since the last log, steps before an interruption included."""
        if "loss" in logs:
            logs["loss"] = self.meter.mean(self.state.global_step)
            logs.pop("learning_rate", None)
            logs.update(self.named_rates())
        super().log(logs, *args, **kwargs)

    def named_rates(self) -> dict[str, float]:
        """Return the learning rates of the last step, as columns of the history."""
        return {"learning_rate": self.rates[0]} if self.rates else {}


def training_arguments(
    given: dict[str, Any], folder: Path, seed: int, reserved: dict[str, str] | None = None, **defaults: Any
) -> TrainingArguments:
    """Return the `TrainingArguments` of a stage: package defaults, overridden by the stage's, then by `given`.

    Args:
        given: fields of TrainingArguments from the recipe, a file or the command line; and `train_batch_size`, the
            images per batch over all processes, which `per_device_train_batch_size` overrides.
        folder: for checkpoints.
        seed: for everything random.
        reserved: fields that cannot be set in this stage, with the reason.
        defaults: of the stage.

    Raises:
        InputError: an unknown field (the nearest is named), a reserved one, or a bad value.
    """
    _refuse(given, {**RESERVED, **(reserved or {})})
    given = dict(given)
    batch_size = given.pop(TRAIN_BATCH_SIZE, None)
    if batch_size is not None and "per_device_train_batch_size" not in given:
        given["per_device_train_batch_size"] = _divided(batch_size)
    values = {
        "dataloader_pin_memory": torch.cuda.is_available(),
        # Otherwise several processes on a machine without an accelerator do not find each other.
        "use_cpu": not torch.accelerator.is_available(),
        **DEFAULTS,
        **defaults,
        **given,
        **FIXED,
        "output_dir": str(folder),
        "seed": seed_of_32_bits(seed),
        "data_seed": given.get("data_seed", seed),
    }
    try:
        args = TrainingArguments(**values)
        args.device  # noqa: B018  (connects the processes)
    except (ValueError, TypeError, ImportError) as error:
        raise InputError(f"training arguments: {' '.join(str(error).split())[:300]}") from error
    if args.world_size != processes.count():
        raise InputError(
            f"{processes.count()} processes were started, but transformers sees {args.world_size}: "
            "start them by torchrun or accelerate launch"
        )
    # Replicas in threads would each count their own images; torchrun is the way to several devices.
    use_one_gpu(args)
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
        raise InputError(f"--train-batch-size is {batch_size!r}: it must be a multiple of the {count} processes")
    return batch_size // count

"""Everything that is relied on in `transformers.Trainer` and accelerate without being documented by them.

Each entry names the behaviour and the versions of transformers that it was checked in; each has a test in
`tests/training/test_trainer_compat.py` that fails in a version that behaves differently. Methods that Trainer documents
as made to be overridden (`compute_loss`, `training_step`, `evaluate`, `create_optimizer`, `create_scheduler`,
`get_train_dataloader`, `log`) are overridden where they belong, in the trainers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.data.loader import TrainBatches, image_loader


def use_one_gpu(args: TrainingArguments) -> None:
    """Make Trainer use one GPU in this process instead of replicating the model in threads over all of them.

    Relies on `TrainingArguments.n_gpu` returning the private `_n_gpu`, and on `train_batch_size` and Trainer reading
    `n_gpu` (transformers 5.16 to 5.24). There is no public switch: `n_gpu` has no setter, and hiding devices by
    `CUDA_VISIBLE_DEVICES` works only before CUDA is initialised.
    """
    if args.n_gpu > 1:
        args._n_gpu = 1


def count_images(loss: Callable[..., torch.Tensor]) -> dict[str, Any]:
    """Return the arguments of Trainer that make it count the images of a step for `compute_loss`.

    Relies on Trainer passing `num_items_in_batch` to `compute_loss` in training only where it was given a
    `compute_loss_func`, or where the model accepts loss arguments (transformers 5.16 to 5.24). The number is that of
    the labels other than -100, over all parts of an accumulated step and, with `average_tokens_across_devices`, over
    all processes; the loss is then not divided by the accumulated parts.

    Args:
        loss: never called by Trainer as long as `compute_loss` is overridden.
    """
    return {"compute_loss_func": loss}


def make_loader(dataset: Dataset, args: TrainingArguments, batches: TrainBatches) -> DataLoader:
    """Return the loader that `get_train_dataloader` hands to Trainer, without `accelerator.prepare`.

    Relies on Trainer using the loader of `get_train_dataloader` as it is: it moves the batches to the device itself,
    does not shard them, and skips the batches of a resumed epoch by accelerate's `skip_first_batches`, which keeps
    the order of the batch sampler (transformers 5.16 to 5.24).

    Args:
        dataset: returns whole batches from `__getitems__`.
        args: number and persistence of the workers, pinned memory.
        batches: order of the images; this process's part of every batch.
    """
    workers = args.dataloader_num_workers
    return image_loader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=args.dataloader_pin_memory,
        persistent_workers=args.dataloader_persistent_workers and workers > 0,
        prefetch_factor=args.dataloader_prefetch_factor if workers > 0 else None,
    )


def set_epoch(loader: Any, epoch: int) -> None:
    """Set the epoch of the batch sampler of the loader that callbacks get as `train_dataloader`.

    Relies on that being the loader of `make_loader`, and on `on_epoch_begin` coming before its iterator is made
    (transformers 5.16 to 5.24). Trainer itself looks for `set_epoch` on the loader and on a wrapped sampler, not on a
    batch sampler.
    """
    loader.batch_sampler.set_epoch(epoch)


def ends_epoch(state: TrainerState) -> bool:
    """Return whether the step just taken is the last of its epoch, or of training.

    Relies on `state.epoch` being a whole number exactly after the last step of an epoch, and on both `epoch` and
    `global_step` being updated before `on_step_end` (transformers 5.16 to 5.24).
    """
    return state.epoch == int(state.epoch or 0) or state.global_step >= state.max_steps


class SaveAfterEvaluation(TrainerCallback):
    """Puts off a checkpoint due at the last step of an epoch until that epoch has been evaluated.

    Relies on Trainer acting on `control` right after `on_step_end` and again after `on_epoch_end`, each time
    evaluating before it saves, and calling `on_save` once the checkpoint is written (transformers 5.16 to 5.24).
    Trainer's own order would be: save at the last step, then evaluate at the end of the epoch. A run resumed from
    that checkpoint would lack the evaluation.

    Args:
        every_epoch: save after every epoch that is evaluated.
    """

    def __init__(self, every_epoch: bool = False) -> None:
        self.every_epoch = every_epoch
        self.put_off = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put off a checkpoint that is due at the last step of an epoch."""
        self.put_off = control.should_save and ends_epoch(state)
        if self.put_off:
            control.should_save = False

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for the checkpoint that was put off, or that every epoch needs."""
        if self.put_off or (self.every_epoch and control.should_evaluate):
            control.should_save = True


class ClipSeparately(TrainerCallback):
    """Clips groups of parameters each by its own norm, and hides them from Trainer's clipping over all of them.

    Trainer always clips: with `max_grad_norm=0` it measures the norm by clipping at infinity, which turns every
    gradient into NaN where one is infinite, so one diverging head of a grid would destroy the others. There is no
    option against it. Gradients are therefore set aside after the backward pass (`hide`, called from
    `training_step`) and put back in `on_pre_optimizer_step`, both public; a parameter without a gradient has no norm.

    Relies on Trainer clipping between `training_step` and `on_pre_optimizer_step` (transformers 5.16 to 5.24), and
    on no gradient scaler being in use, as in float32.

    Args:
        groups: parameters that share a norm.
        max_norm: the largest norm of a group; 0 clips nothing.
    """

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]], max_norm: float) -> None:
        self.groups = [list(group) for group in groups]
        self.max_norm = max_norm
        self.hidden: list[tuple[nn.Parameter, torch.Tensor | None]] = []

    def hide(self) -> None:
        """Set the gradients aside."""
        self.hidden = [(parameter, parameter.grad) for group in self.groups for parameter in group]
        for parameter, _ in self.hidden:
            parameter.grad = None

    def show(self) -> None:
        """Put the gradients back, for the optimizer or for the next part of an accumulated step."""
        for parameter, gradient in self.hidden:
            parameter.grad = gradient
        self.hidden = []

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put the gradients back and clip each group."""
        self.show()
        if self.max_norm > 0:
            for group in self.groups:
                clip_grad_norm_(group, self.max_norm)


def checkpoint_weights(model: PreTrainedModel, checkpoint: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint of Trainer, by the names that they have in the model.

    Trainer loads tensors by the names in the file, which in some families, such as ViT, are not those of the model:
    it resumes from other weights with no more than a warning (transformers 5.16 to 5.24). `from_pretrained` converts
    the names; it makes a second network for that, which is dropped at once.

    Relies on Trainer saving with `save_pretrained`, and on its own loading being non-strict, so that it changes
    nothing in a model that already holds these weights.
    """
    return type(model).from_pretrained(checkpoint).state_dict()


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch of a training run.

    Attributes:
        epoch: counted from 1.
        step: of the optimizer; that of its checkpoint.
        metric: the value of the selection metric.
    """

    epoch: float
    step: int
    metric: float


def best_epoch(state: TrainerState) -> BestEpoch | None:
    """Return the best epoch by `metric_for_best_model`, or None where none was evaluated.

    Relies on Trainer keeping `best_global_step` and `best_metric` also without `load_best_model_at_end`, as long as
    checkpoints are saved by epoch or by steps, and keeping the earlier of two equal epochs (transformers 5.16 to 5.24).
    """
    step = state.best_global_step
    if not step:
        return None
    epoch = next(entry["epoch"] for entry in state.log_history if entry["step"] == step)
    return BestEpoch(epoch, step, float(state.best_metric or 0.0))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception says that the device ran out of memory.

    Relies on `accelerate.utils.memory.should_reduce_batch_size`, which its public `find_executable_batch_size` uses.
    The latter starts training anew, with weights that have moved, and so cannot be used here.
    """
    return bool(should_reduce_batch_size(error))

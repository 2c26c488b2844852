"""Fine-tuning: train the unfrozen layers with `Trainer`, and keep what is best on validation."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import EvalPrediction, PreTrainedModel, TrainerCallback, TrainerState

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.augmentation.augmentation import augmentation_of
from hf_cifar.data.image_cache import decoded_once
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import ImageDataset
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError, TrainingError
from hf_cifar.models.anatomy import find_layers, layer_groups, layers_outside
from hf_cifar.models.memory_layout import use_channels_last
from hf_cifar.models.predict import predict_logits
from hf_cifar.models.small_maps import multiply_small_maps
from hf_cifar.models.weights import put_weights
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.train_summary import Chosen
from hf_cifar.training.callbacks import EarlyStoppingCallback, EpochCallback, HistoryCallback
from hf_cifar.training.checkpoints import checkpoint_of, last_checkpoint, read_state
from hf_cifar.training.finetune.arguments import divide_batch, finetune_arguments
from hf_cifar.training.finetune.ema import WeightAverage, load_average
from hf_cifar.training.finetune.group_table import report_groups
from hf_cifar.training.finetune.interpolation import choose_strength, interpolate
from hf_cifar.training.finetune.schedules import PlateauWarmupCallback
from hf_cifar.training.finetune.snapshot import Snapshot
from hf_cifar.training.finetune.starting_point import Start
from hf_cifar.training.finetune.trainer import FinetuneTrainer
from hf_cifar.training.freezing import FreezeCallback, GradualUnfreezeCallback, freeze, freeze_statistics
from hf_cifar.training.gradient_checkpointing import recompute_activations
from hf_cifar.training.imbalance import rebalancing
from hf_cifar.training.input_wait import InputClock, advice
from hf_cifar.training.optimizer import ParameterGroup, parameter_groups
from hf_cifar.training.progress import ProgressCallback
from hf_cifar.training.selection import GREATER_IS_BETTER, is_at_least, shown_metric
from hf_cifar.training.trainer_compat import best_epoch, checkpoint_weights, is_out_of_memory
from hf_cifar.utils.device import on_device
from hf_cifar.utils.progress import say

__all__ = ["Finetune", "FinetuneResult", "finetune_arguments"]


@dataclass(frozen=True)
class FinetuneResult:
    """The outcome of fine-tuning.

    Attributes:
        model: with the chosen weights, on the device, in eval mode.
        validation_logits: float32 [n, labels], of that model.
        chosen: the best epoch (0 for the start), its step and its validation metric; the interpolation strength if any.
        epochs: passes over the training images.
        seconds: spent on training and choosing the weights, in this call.
        trainable_parameters: number of values that the optimizer held.
        input_wait_fraction: part of the steps' time that was spent waiting for images; None without a step.
        checkpoint_wait_seconds: that training stood still for checkpoints, in this call.
    """

    model: PreTrainedModel
    validation_logits: np.ndarray
    chosen: Chosen
    epochs: float
    seconds: float
    trainable_parameters: int
    input_wait_fraction: float | None
    checkpoint_wait_seconds: float


class Finetune:
    """Fine-tuning of one model. It never gets the test split.

    Args:
        config: of the run; its parts `finetune` and `augmentation` say how.
        start: the network and where it comes from; the network is trained in place.
        processor: the image processor that is saved with the model.
        train: training images, to be augmented.
        validation: images that choose the best epoch, the interpolation strength and the end of training.
        label_names: one per class.
        folder: for checkpoints, history and the table of parameter groups.
        compute_metrics: validation metrics of logits, by the names of `--selection-metric`.

    Raises:
        InputError: unknown training arguments, or options that do not go together.
        ValueError: `validation` is the test split.
    """

    def __init__(
        self,
        config: RunConfig,
        start: Start,
        processor: Any,
        train: LabeledImages,
        validation: LabeledImages,
        label_names: list[str],
        folder: StageFolder,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]],
    ) -> None:
        validation.refuse_test("the best epoch")
        self.config = config
        self.options = config.finetune
        self.start = start
        self.model = start.model
        self.processor = processor
        self.train = train
        self.validation = validation
        self.label_names = label_names
        self.folder = folder
        self.compute_metrics = compute_metrics
        self.arguments = finetune_arguments(config, folder)
        if start.unused:
            self.arguments.ddp_find_unused_parameters = True
        if self.options.interpolate != "none" and not start.trained_head:
            raise InputError(
                f"--interpolate {self.options.interpolate} needs a start with a trained head: --stage lpft, or --from"
            )
        self.clock = InputClock(self._advice)
        self.checkpoint_wait_seconds = 0.0
        self.snapshot = Snapshot(self.model)
        # Options that do not fit this network are refused now, before anything is written.
        self._set_up_modules()
        self.snapshot.restore_modules()

    @property
    def find_batch_size(self) -> bool:
        """Return whether `--auto-find-batch-size` was given; Trainer's own restarts with weights that have moved."""
        return bool(self.options.training.get("auto_find_batch_size", False))

    @property
    def training_images(self) -> ImageDataset:
        """Return the training images with their augmentation, as the network sees them."""
        transform = Transform(self.processor, augmentation_of(self.config, "finetune", len(self.label_names)))
        return ImageDataset(self.train, transform, finished=self.arguments.device.type == "cpu")

    def laid_out(self) -> PreTrainedModel:
        """Return the network on its device, laid out and frozen as a training step sees it, to be measured."""
        on_device(self.model, self.arguments.device)
        self._set_up_modules()
        return self.model

    def run(self, resume: bool) -> FinetuneResult:
        """Train, and return the model that is best on validation: an epoch, or the start if no epoch is as good.

        Args:
            resume: continue from the last checkpoint, if there is one.

        Raises:
            CorruptImageError: an image cannot be read.
            Interrupted: a signal arrived; a checkpoint was saved.
            TrainingError: the loss or the weights are no longer finite.
        """
        self.train = decoded_once(self.train, self.config.data.image_cache)
        self.validation = decoded_once(self.validation, self.config.data.image_cache)
        on_device(self.model, self.arguments.device)
        # Before a Trainer is made: making one sets the seed, so that this pass draws nothing from training.
        before = self._validate("validation of the start")
        begun = time.perf_counter()
        state, groups = self._train_in_memory(resume)
        chosen = self._choose(state)
        seconds = time.perf_counter() - begun
        after = self._validate("predicting validation")
        metric = self.options.selection_metric
        if not is_at_least(after[1], before[1], metric):
            values = [shown_metric(metric, value) for value in (before[1], after[1])]
            say(
                f"warning: no epoch is as good on validation as the start, so the start is kept: {values[0]}, "
                f"against {values[1]} after epoch {chosen.epoch:g}; try a lower --learning-rate"
            )
            put_weights(self.model, self.snapshot.weights)
            after, chosen = before, Chosen(epoch=0.0, step=0, metric=metric, value=before[1])
        return FinetuneResult(
            self.model,
            after[0],
            chosen,
            float(state.epoch or 0),
            seconds,
            sum(group.num_parameters for group in groups),
            self.clock.fraction if self.clock.computed else None,
            self.checkpoint_wait_seconds,
        )

    def _advice(self, fraction: float) -> str | None:
        cached, workers = self.train.decoded is not None, self.arguments.dataloader_num_workers
        return advice(fraction, cached=cached, workers=workers)

    def _validate(self, what: str) -> tuple[np.ndarray, float]:
        """Return the logits of the validation images, and their selection metric, as the saved model gives them."""
        logits = predict_logits(self.model, self.processor, self.validation, what)
        metrics = self.compute_metrics(EvalPrediction(logits, self.validation.targets))
        return logits, metrics[self.options.selection_metric]

    def _train_in_memory(self, resume: bool) -> tuple[TrainerState, list[ParameterGroup]]:
        """Train; with `--auto-find-batch-size`, divide the batch until it fits into memory."""
        while True:
            try:
                return self._train(last_checkpoint(self.folder.checkpoints) if resume else None)
            except RuntimeError as error:
                if not (self.find_batch_size and is_out_of_memory(error)):
                    raise
            finally:
                self.snapshot.restore_modules()
            divide_batch(self.arguments)
            put_weights(self.model, self.snapshot.weights)
            # The steps of the parts are those of the whole batch, so its checkpoints can be resumed from.
            resume = True

    def _train(self, resume: Path | None) -> tuple[TrainerState, list[ParameterGroup]]:
        model, images = self.model, self.training_images
        freezing = self._set_up_modules()
        groups = self._groups(model, freezing)
        average = WeightAverage(model, self.options.ema) if self.options.ema else None
        metric = self.options.selection_metric
        early = EarlyStoppingCallback(metric, GREATER_IS_BETTER[metric], self.options.early_stopping or 0)
        callbacks: list[TrainerCallback] = [
            *freezing,
            EpochCallback(images),
            HistoryCallback(self.folder.history),
            ProgressCallback("fine-tuning", len(images)),
        ]
        if self.options.scheduler == "plateau":
            callbacks.append(PlateauWarmupCallback([group.learning_rate for group in groups]))
        callbacks += [average] if average else []
        callbacks += [early] if self.options.early_stopping else []
        if resume is not None and self.options.early_stopping and early.due(read_state(resume)):
            return read_state(resume), groups
        trainer = FinetuneTrainer(
            model,
            self.arguments,
            resume=resume,
            config=self.config,
            groups=groups,
            average=average,
            saved=[average] if average else [],
            train_dataset=images,
            # Finished on the CPU wherever the network is: validation sees the very pixels that `pipeline` makes.
            eval_dataset=ImageDataset(self.validation, Transform(self.processor)),
            finish=None if images.finished else images.transform.finish,
            clock=self.clock,
            balance=rebalancing(self.config.imbalance, self.train.targets, len(self.label_names)),
            compute_metrics=self.compute_metrics,
            callbacks=callbacks,
        )
        state = trainer.run()
        self.checkpoint_wait_seconds = trainer.checkpoints.waited
        return state, groups

    def _set_up_modules(self) -> list[TrainerCallback]:
        """Lay out the network for training, apply `--bn eval`, `--unfreeze` and `--gradient-checkpointing`.

        Returns:
            The callbacks that freeze.
        """
        # What is compiled chooses how it is computed by itself.
        if use_channels_last(self.model) and not self.arguments.torch_compile:
            multiply_small_maps(self.model)
        callbacks: list[TrainerCallback] = []
        if self.options.bn == "eval":
            freeze_statistics(self.model)
        if self.options.unfreeze == "gradual":
            callbacks = [GradualUnfreezeCallback(layer_groups(self.model), self.options.unfreeze_every)]
        elif self.options.layers:
            frozen = freeze(self.model, layers_outside(self.model, find_layers(self.model, self.options.layers)))
            callbacks = [FreezeCallback(frozen)]
        if self.options.gradient_checkpointing:
            recompute_activations(self.model)
        return callbacks

    def _groups(self, model: PreTrainedModel, freezing: list[TrainerCallback]) -> list[ParameterGroup]:
        """Return the parameter groups of the optimizer, after printing and saving their table."""
        groups = parameter_groups(
            model,
            layer_groups(model),
            learning_rate=self.arguments.learning_rate,
            weight_decay=self.arguments.weight_decay,
            head_lr=self.options.head_lr,
            layer_decay=self.options.layer_decay,
        )
        starts = [callback.starts for callback in freezing if isinstance(callback, GradualUnfreezeCallback)]
        report_groups(self.folder.path / "parameter_groups.csv", groups, starts[0] if starts else {})
        return groups

    def _choose(self, state: TrainerState) -> Chosen:
        """Load the weights of the best epoch, interpolated with the start's if asked for, and describe the choice."""
        metric = self.options.selection_metric
        best = best_epoch(state)
        if best is None:
            raise TrainingError(f"no epoch has a validation {metric}: train for at least one")
        checkpoint = checkpoint_of(self.folder.checkpoints, best.step)
        end = load_average(checkpoint) if self.options.ema else checkpoint_weights(self.model, checkpoint)
        chosen = Chosen(epoch=best.epoch, step=best.step, metric=metric, value=best.metric)
        say(f"best epoch: {best.epoch:g}, validation {shown_metric(metric, best.metric)}")
        if self.options.interpolate != "none":
            end = {name: value.to(self.model.device) for name, value in end.items()}
            start = {name: value.to(self.model.device) for name, value in self.snapshot.weights.items()}
            strength = (
                choose_strength(self.model, self.processor, start, end, self.validation, metric)
                if self.options.interpolate == "auto"
                else float(self.options.interpolate)
            )
            end = interpolate(start, end, strength)
            chosen = replace(chosen, interpolation=strength)
        put_weights(self.model, end)
        return chosen

"""Fine-tuning: the layers that are to train, by `Trainer`, and of its epochs the one that is best on validation."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from transformers import PreTrainedModel, TrainerCallback, TrainerState, TrainingArguments

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.augmentation import Mixing
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import ImageDataset, default_workers
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import InputError, TrainingError
from hf_cifar.evaluation.figures.augmentation import augmentation_figure
from hf_cifar.models.anatomy import find_layers, layer_groups, layers_outside
from hf_cifar.models.weights import put_weights
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.training.callbacks import EarlyStoppingCallback, EpochCallback, HistoryCallback, ProgressCallback
from hf_cifar.training.checkpoints import checkpoint_of, last_checkpoint, read_state
from hf_cifar.training.finetune.ema import WeightAverage, load_average
from hf_cifar.training.finetune.interpolation import Weights, choose_strength, interpolate
from hf_cifar.training.finetune.schedules import PlateauWarmupCallback
from hf_cifar.training.finetune.starting_point import Start
from hf_cifar.training.finetune.trainer import FinetuneTrainer
from hf_cifar.training.freezing import FreezeCallback, GradualUnfreezeCallback, freeze, freeze_statistics
from hf_cifar.training.gradient_checkpointing import recompute_activations
from hf_cifar.training.optimizer import ParameterGroup, parameter_groups
from hf_cifar.training.selection import GREATER_IS_BETTER
from hf_cifar.training.trainer import training_arguments
from hf_cifar.utils import processes
from hf_cifar.utils.device import on_device
from hf_cifar.utils.files import write_csv
from hf_cifar.utils.progress import say

RESERVED = {"lr_scheduler_type": "use --scheduler"}


@dataclass(frozen=True)
class FinetuneResult:
    """What fine-tuning came to.

    Attributes:
        model: with the weights that were chosen, on the device, in eval mode.
        chosen: the best epoch, its step and its validation metric; the interpolation strength where there was one.
        epochs: passes over the training images.
        seconds: of training and choosing, in this call.
        trainable_parameters: how many numbers the optimizer held.
    """

    model: PreTrainedModel
    chosen: dict[str, float]
    epochs: float
    seconds: float
    trainable_parameters: int


class Finetune:
    """One fine-tuning of one model. It is not given the test split.

    Args:
        config: of the run; how is said by its parts `finetune` and `augmentation`.
        start: what it starts from.
        processor: what the images go through.
        train: is trained on, with augmentation.
        validation: the best epoch, the strength of interpolation and the end of training are chosen on it.
        label_names: one a class.
        folder: for checkpoints, history, the table of groups, and a picture of what the network sees.

    Raises:
        InputError: training arguments, or a combination of options, that do not exist or do not fit.
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
    ) -> None:
        validation.refuse_test("the best epoch")
        self.config = config
        self.options = config.finetune
        self.start = start
        self.processor = processor
        self.train = train
        self.validation = validation
        self.label_names = label_names
        self.folder = folder
        self.arguments = finetune_arguments(config, folder)
        if start.unused:
            self.arguments.ddp_find_unused_parameters = True
        if self.options.interpolate != "none" and not start.trained_head:
            raise InputError(
                f"--interpolate {self.options.interpolate} needs a start with a trained head: --stage lpft, or --from"
            )

    def run(self, resume: bool) -> FinetuneResult:
        """Train, choose on validation, and return the model that was chosen.

        Args:
            resume: go on from the last checkpoint, where there is one.

        Raises:
            Interrupted: a signal came; a checkpoint was made.
            TrainingError: the loss or the weights are no longer numbers.
        """
        begun = time.perf_counter()
        while True:
            try:
                state, groups = self._train(last_checkpoint(self.folder.checkpoints) if resume else None)
                break
            except RuntimeError as error:
                if not (self.find_batch_size and should_reduce_batch_size(error)):
                    raise
            self._divide_batch()
            # The steps of its parts are those of the whole batch, so a checkpoint of it can be gone on from.
            resume = True
        model = on_device(self.start.load(), self.arguments.device).eval()
        chosen = self._choose(model, state)
        return FinetuneResult(
            model,
            chosen,
            float(state.epoch or 0),
            time.perf_counter() - begun,
            sum(group.num_parameters for group in groups),
        )

    @property
    def find_batch_size(self) -> bool:
        """Whether `--auto-find-batch-size` was given: it is ours, since Trainer's starts anew with moved weights."""
        return bool(self.options.training.get("auto_find_batch_size", False))

    def _train(self, resume: Path | None) -> tuple[TrainerState, list[ParameterGroup]]:
        model = self.start.load()
        freezing = self._freeze(model)
        groups = self._groups(model, freezing)
        if self.options.gradient_checkpointing:
            recompute_activations(model)
        images = self._training_images()
        average = WeightAverage(on_device(model, self.arguments.device), self.options.ema) if self.options.ema else None
        metric = self.options.selection_metric
        early = EarlyStoppingCallback(metric, GREATER_IS_BETTER[metric], self.options.early_stopping or 0)
        callbacks: list[TrainerCallback] = [
            *freezing,
            EpochCallback(images),
            HistoryCallback(self.folder.history),
            ProgressCallback("fine-tuning"),
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
            eval_dataset=ImageDataset(self.validation, Transform(self.processor)),
            callbacks=callbacks,
        )
        return trainer.run(), groups

    def _freeze(self, model: PreTrainedModel) -> list[TrainerCallback]:
        """The callbacks that freeze what `--unfreeze` leaves out; `--bn eval` holds from here on."""
        if self.options.bn == "eval":
            freeze_statistics(model)
        if self.options.unfreeze == "gradual":
            return [GradualUnfreezeCallback(layer_groups(model), self.options.unfreeze_every)]
        if self.options.layers:
            frozen = freeze(model, layers_outside(model, find_layers(model, self.options.layers)))
            return [FreezeCallback(frozen)]
        return []

    def _groups(self, model: PreTrainedModel, freezing: list[TrainerCallback]) -> list[ParameterGroup]:
        """What the optimizer holds; a table of it is printed and saved."""
        groups = parameter_groups(
            model,
            layer_groups(model),
            learning_rate=self.arguments.learning_rate,
            weight_decay=self.arguments.weight_decay,
            head_lr=self.options.head_lr,
            layer_decay=self.options.layer_decay,
        )
        starts = next((each.starts for each in freezing if isinstance(each, GradualUnfreezeCallback)), {})
        rows = [
            {
                "group": group.name,
                "layers": " ".join(group.layers),
                "parameters": group.num_parameters,
                "learning_rate": group.learning_rate,
                "weight_decay": group.weight_decay,
                "trains_from_epoch": starts.get(group.name, 0),
            }
            for group in groups
        ]
        if processes.is_main():
            write_csv(self.folder.path / "parameter_groups.csv", rows, list(rows[0]))
        width = max(len(group.name) for group in groups)
        say(f"{'group':<{width}}  {'parameters':>12}  learning rate  weight decay  trains from epoch")
        for row in rows:
            say(
                f"{row['group']:<{width}}  {row['parameters']:>12,}  {row['learning_rate']:>13.3g}  "
                f"{row['weight_decay']:>12g}  {row['trains_from_epoch']:>17}"
            )
        return groups

    def _training_images(self) -> ImageDataset:
        """Train with its augmentation, of which a picture is saved."""
        augmentation, seed = self.config.augmentation, self.config.seed
        transform = Transform(
            self.processor, self.config.augment["finetune"], seed, random_erasing=augmentation.random_erasing
        )
        mixing = None
        if augmentation.mixup or augmentation.cutmix:
            mixing = Mixing(augmentation.mixup, augmentation.cutmix, len(self.label_names), seed)
        images = ImageDataset(self.train, transform, mixing)
        if processes.is_main():
            augmentation_figure(self.folder.figures / "augmentation.png", images, self.label_names)
        return images

    def _choose(self, model: PreTrainedModel, state: TrainerState) -> dict[str, float]:
        """Put the weights that are best on validation into a model, and say which they are."""
        step = state.best_global_step
        if not step:
            raise TrainingError(f"no epoch has a validation {self.options.selection_metric}: train for one at least")
        best = checkpoint_of(self.folder.checkpoints, step)
        epoch = next(entry["epoch"] for entry in state.log_history if entry["step"] == step)
        metric = self.options.selection_metric
        end: Weights = load_average(best) if self.options.ema else type(model).from_pretrained(best).state_dict()
        chosen = {"epoch": epoch, "step": step, f"validation_{metric}": float(state.best_metric or 0.0)}
        say(f"epoch {epoch:g} is kept: validation {metric} {chosen[f'validation_{metric}']:.4f}")
        if self.options.interpolate != "none":
            start = {name: value.clone() for name, value in model.state_dict().items()}
            if self.options.interpolate == "auto":
                strength = choose_strength(model, self.processor, start, end, self.validation, say)
            else:
                strength = float(self.options.interpolate)
            end = interpolate(start, {name: value.to(model.device) for name, value in end.items()}, strength)
            chosen["interpolation"] = strength
        put_weights(model, end)
        return chosen

    def _divide_batch(self) -> None:
        size = self.arguments.per_device_train_batch_size
        if size == 1:
            raise InputError(
                "--auto-find-batch-size: a single image does not fit into memory; use a smaller --image-size"
            )
        # Without a remainder, or the parts would not add up to the same step: 64 in halves, 9 in thirds.
        parts = next(number for number in range(2, size + 1) if size % number == 0)
        self.arguments.per_device_train_batch_size = size // parts
        self.arguments.gradient_accumulation_steps *= parts
        say(f"out of memory: going on with batches of {size // parts}, {parts} of them for {size} images")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def finetune_arguments(config: RunConfig, folder: StageFolder) -> TrainingArguments:
    """The `TrainingArguments` of fine-tuning.

    Raises:
        InputError: some that do not exist or do not fit.
    """
    given = dict(config.finetune.training)
    find_batch_size = given.pop("auto_find_batch_size", False)
    arguments = training_arguments(
        given,
        folder.checkpoints,
        config.seed,
        RESERVED,
        per_device_eval_batch_size=64,
        metric_for_best_model=config.finetune.selection_metric,
        greater_is_better=GREATER_IS_BETTER[config.finetune.selection_metric],
        # Layers that are frozen for a while are no part of the graph until they are unfrozen.
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

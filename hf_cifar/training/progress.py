"""The progress of a training: epoch, images a second, time left and validation so far."""

import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.utils.formatting import percent
from hf_cifar.utils.progress import Bar, progress

ACCURACY = "eval_accuracy"


class ProgressCallback(TrainerCallback):
    """Shows a bar for the whole of training, and one for each validation; see `hf_cifar.utils.progress`.

    Args:
        title: of the training.
        num_images: of an epoch.
    """

    def __init__(self, title: str, num_images: int) -> None:
        self.title = title
        self.num_images = num_images
        self.epochs = 0
        self.bar: Bar[Any] | None = None
        self.validation: Bar[Any] | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        train_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Open the bar, where a resumed run left off."""
        steps = max(1, math.ceil(len(train_dataloader) / args.gradient_accumulation_steps))
        total = round(self.num_images * state.max_steps / steps)
        self.epochs = math.ceil(state.max_steps / steps)
        self.bar = progress(None, self.title, "image", total, done=self._done(state))

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the epoch."""
        if self.bar is not None:
            self.bar.phase = f"epoch {int(state.epoch or 0) + 1}/{self.epochs}"
            _show_validation(self.bar, state)
            self.bar.move(self._done(state))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar by a step."""
        if self.bar is not None:
            self.bar.move(self._done(state))

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        eval_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Move the bar of the validation by a batch."""
        if self.validation is None:
            self.validation = progress(None, "validation", "image", len(eval_dataloader.dataset))
        images = args.eval_batch_size * args.world_size
        self.validation.move(min(self.validation.done + images, self.validation.total or 0))

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Show the latest validation accuracy, and the best one."""
        self._close_validation()
        if self.bar is not None:
            _show_validation(self.bar, state)
            self.bar.tell()

    def on_predict(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any, **kwargs: Any
    ) -> None:
        """Close the bar of the images that were predicted."""
        self._close_validation()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _done(self, state: TrainerState) -> int:
        return round(self.num_images * (state.epoch or 0.0))

    def _close_validation(self) -> None:
        if self.validation is not None:
            self.validation.close()
            self.validation = None


def _show_validation(bar: Bar[Any], state: TrainerState) -> None:
    """Show the last accuracy on validation, and the best where that is another; those of a resumed run count."""
    values = [entry[ACCURACY] for entry in state.log_history if ACCURACY in entry]
    if values:
        bar.note = f"validation {percent(values[-1])}"
        bar.aside = f"best {percent(max(values))}" if max(values) > values[-1] else ""

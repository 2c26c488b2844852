"""Stop on SIGTERM and Ctrl-C after saving a checkpoint."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import Interrupted
from hf_cifar.training.trainer_compat import ends_epoch
from hf_cifar.utils import interruption, processes

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGREE_EVERY = 8  # steps between two agreements of several processes; each waits for all of them


class InterruptionCallback(TrainerCallback):
    """Saves a checkpoint after the current step and stops training when SIGTERM or Ctrl-C arrives.

    A second signal stops at once.

    Attributes:
        caught: number of the signal that arrived, or None.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self.mid_epoch = False
        self.before: dict[int, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Install the signal handlers, which only the main thread can, and look for a signal that came before."""
        self.caught = interruption.caught()
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._remember) for number in SIGNALS}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After a signal, stop and ask for a checkpoint; at the end of an epoch it follows the evaluation."""
        at_end = ends_epoch(state)
        if not self._agreed(state.global_step, at_end, args.device):
            return
        control.should_training_stop = True
        self.mid_epoch = not at_end
        control.should_save = self.mid_epoch or control.should_save

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Log, evaluate and save nothing if training stopped in the middle of the epoch."""
        if self.mid_epoch:
            control.should_log = control.should_evaluate = control.should_save = False

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore the signal handlers."""
        self.restore_handlers()

    def restore_handlers(self) -> None:
        """Restore the signal handlers from before training, also after an error."""
        while self.before:
            signal.signal(*self.before.popitem())

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            raise Interrupted(number)
        self.caught = number

    def _agreed(self, step: int, at_end: bool, device: torch.device) -> bool:
        """Return whether any process received a signal; all of them must stop at the same step."""
        if processes.count() == 1:
            return self.caught is not None
        if step % AGREE_EVERY and not at_end:
            return False
        caught = torch.tensor(self.caught or 0, device=device)
        torch.distributed.all_reduce(caught, torch.distributed.ReduceOp.MAX)
        self.caught = int(caught) or None
        return self.caught is not None

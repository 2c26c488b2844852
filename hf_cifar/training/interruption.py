"""SIGTERM and Ctrl-C: a checkpoint, and then the end."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import Interrupted
from hf_cifar.training.checkpoints import ends_epoch
from hf_cifar.utils import processes

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGREE_EVERY = 8  # steps between two agreements of several processes, each of which waits for all of them


class InterruptionCallback(TrainerCallback):
    """Answers SIGTERM and Ctrl-C, while `Trainer` trains, by a checkpoint after the current step, and stops.

    A second signal stops at once. `caught` says afterwards which signal it was.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self.in_mid_epoch = False
        self.before: dict[int, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Listen; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._remember) for number in SIGNALS}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for a checkpoint and the end, where a signal came; at the end of an epoch after its evaluation."""
        at_end = ends_epoch(state)
        if not self._agreed(state.global_step, at_end, args.device):
            return
        control.should_training_stop = True
        self.in_mid_epoch = not at_end
        control.should_save = self.in_mid_epoch or control.should_save

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """In the middle of an epoch it is not at its end: nothing is logged, evaluated or saved again."""
        if self.in_mid_epoch:
            control.should_log = control.should_evaluate = control.should_save = False

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Give the signals back."""
        self.give_back()

    def give_back(self) -> None:
        """Let signals do what they did before training; also where training failed."""
        while self.before:
            signal.signal(*self.before.popitem())

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            raise Interrupted(number)
        self.caught = number

    def _agreed(self, step: int, at_end: bool, device: torch.device) -> bool:
        """Whether any process was asked to stop; they must all stop at the same step."""
        if processes.count() == 1:
            return self.caught is not None
        if step % AGREE_EVERY and not at_end:
            return False
        caught = torch.tensor(self.caught or 0, device=device)
        torch.distributed.all_reduce(caught, torch.distributed.ReduceOp.MAX)
        self.caught = int(caught) or None
        return self.caught is not None

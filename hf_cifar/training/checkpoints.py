"""Checkpoints that are whole: marked when all of one is on the disk, and not removed before a newer one is."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import TrainingError
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_json

COMPLETE = "complete.json"
STATE = "trainer_state.json"
KEEP = 2  # the last one may turn out to be damaged


class Saved(Protocol):
    """What goes into a checkpoint beside what `Trainer` puts there."""

    def save(self, folder: Path) -> None:
        """Write it to a checkpoint; called in every process."""

    def load(self, folder: Path) -> None:
        """Read it from a checkpoint."""


class CheckpointCallback(TrainerCallback):
    """Completes, marks and rotates the checkpoints of a `Trainer`, and starts from one.

    A checkpoint at the end of an epoch is made after the evaluation of that epoch, so that a run that goes on from it
    has lost neither.

    Args:
        folder: of the checkpoints.
        saved: what goes into them beside what `Trainer` puts there.
        resume: the checkpoint that training goes on from.
        keep: how many are kept; the best one is kept besides.
        every_epoch: whether there must be one of every epoch, so that the best epoch can be taken from it.
        watched: whether weights that are no longer numbers end training.
    """

    def __init__(
        self,
        folder: Path,
        saved: Sequence[Saved],
        resume: Path | None,
        keep: int = KEEP,
        every_epoch: bool = False,
        watched: bool = True,
    ) -> None:
        self.folder = folder
        self.saved = saved
        self.resume = resume
        self.keep = max(1, keep)
        self.every_epoch = every_epoch
        self.watched = watched
        self.put_off = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take what a checkpoint holds beside `Trainer`'s own; remove every one that is damaged, or newer."""
        if processes.is_main():
            for folder in self.folder.glob("checkpoint-*"):
                if not _is_whole(folder) or self.resume is None or _step(folder) > _step(self.resume):
                    _remove(folder)
        if self.resume is not None:
            for part in self.saved:
                part.load(self.resume)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put off a checkpoint that is due at the last step of an epoch until the epoch was evaluated."""
        self.put_off = control.should_save and ends_epoch(state)
        if self.put_off:
            control.should_save = False

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Make the checkpoint that was put off, or that every epoch needs."""
        if self.put_off or (self.every_epoch and control.should_evaluate):
            control.should_save = True

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Complete the newest checkpoint, mark it, and only then remove older ones.

        Raises:
            TrainingError: the weights are no longer numbers; the checkpoint stays unmarked.
        """
        newest = self.folder / f"checkpoint-{state.global_step}"
        for part in self.saved:
            part.save(newest)
        bad = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
        if bad and self.watched:
            raise TrainingError(
                f"weights became infinite or NaN at step {state.global_step} (such as {bad[0]}): "
                "try a lower --learning-rate; the last good checkpoint stays"
            )
        processes.wait_for_all()
        if processes.is_main():
            _mark(newest)
            self._rotate(state)

    def _rotate(self, state: TrainerState) -> None:
        whole = sorted(_whole(self.folder), key=_step)
        best = f"checkpoint-{state.best_global_step}"
        for old in whole[: -self.keep]:
            if old.name != best:
                _remove(old)


def ends_epoch(state: TrainerState) -> bool:
    """Whether the step that was just taken is the last of its epoch, or of training."""
    return state.epoch == int(state.epoch or 0) or state.global_step >= state.max_steps


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, or None."""
    return max(_whole(folder), key=_step, default=None)


def checkpoint_of(folder: Path, step: int) -> Path:
    """The checkpoint that was made at a step.

    Raises:
        TrainingError: it is not there, or not whole.
    """
    path = folder / f"checkpoint-{step}"
    if not _is_whole(path):
        raise TrainingError(f"{path}, the best epoch's checkpoint, is gone or damaged: start anew with --overwrite")
    return path


def read_state(checkpoint: Path) -> TrainerState:
    """What `Trainer` knew when it made a checkpoint: steps, history, and the best step so far."""
    return TrainerState.load_from_json(str(checkpoint / STATE))


def _mark(folder: Path) -> None:
    """Write the mark, which lists every file with its size, after the content of all of them is on the disk."""
    sizes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != COMPLETE:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sizes[str(path.relative_to(folder))] = path.stat().st_size
    write_json(folder / COMPLETE, sizes)


def _remove(folder: Path) -> None:
    # The mark goes first: a folder that is half removed is never taken for a whole one.
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _is_whole(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / COMPLETE).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _whole(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if _is_whole(path)]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])

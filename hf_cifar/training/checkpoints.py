"""Checkpoints that are complete: marked once all of one is on disk, and kept until a newer one is."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import TrainingError
from hf_cifar.training.trainer_compat import SaveAfterEvaluation
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_json

COMPLETE = "complete.json"
STATE = "trainer_state.json"
KEEP = 2  # the last one may turn out to be damaged


class Saved(Protocol):
    """State that is saved in a checkpoint in addition to what `Trainer` saves."""

    def save(self, folder: Path) -> None:
        """Write the state to a checkpoint; called in every process."""

    def load(self, folder: Path) -> None:
        """Read the state from a checkpoint."""


class CheckpointCallback(SaveAfterEvaluation):
    """Completes, marks and rotates the checkpoints of a `Trainer`, and resumes from one.

    A checkpoint at the end of an epoch is saved after that epoch's evaluation, so a run resumed from it has both.

    Args:
        folder: of the checkpoints.
        saved: state to save in addition to what `Trainer` saves.
        resume: checkpoint that training continues from.
        keep: number of newest checkpoints to keep; the best one is kept as well.
        every_epoch: save one after every epoch, so that the best epoch can be restored from it.
        watched: stop training when weights are no longer finite.
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
        super().__init__(every_epoch)
        self.folder = folder
        self.saved = saved
        self.resume = resume
        self.keep = max(1, keep)
        self.watched = watched

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Load the additional state of the checkpoint to resume; remove checkpoints that are damaged or newer."""
        if processes.is_main():
            for folder in self.folder.glob("checkpoint-*"):
                if not _is_complete(folder) or self.resume is None or _step(folder) > _step(self.resume):
                    _remove(folder)
        if self.resume is not None:
            for part in self.saved:
                part.load(self.resume)

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
            TrainingError: the weights are no longer finite; the checkpoint stays unmarked.
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
        complete = sorted(_complete_ones(self.folder), key=_step)
        best = f"checkpoint-{state.best_global_step}"
        for old in complete[: -self.keep]:
            if old.name != best:
                _remove(old)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in a folder, or None."""
    return max(_complete_ones(folder), key=_step, default=None)


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return the checkpoint of a step.

    Raises:
        TrainingError: it is missing or damaged.
    """
    path = folder / f"checkpoint-{step}"
    if not _is_complete(path):
        raise TrainingError(f"{path}, the best epoch's checkpoint, is gone or damaged: start anew with --overwrite")
    return path


def read_state(checkpoint: Path) -> TrainerState:
    """Read the `TrainerState` of a checkpoint: steps, history, and the best step so far."""
    return TrainerState.load_from_json(str(checkpoint / STATE))


def _mark(folder: Path) -> None:
    """Mark a checkpoint complete once its files are on disk; the mark lists every file with its size."""
    sizes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != COMPLETE:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sizes[str(path.relative_to(folder))] = path.stat().st_size
    write_json(folder / COMPLETE, sizes)


def _remove(folder: Path) -> None:
    # The mark goes first, so that a half-removed folder is never taken for a complete checkpoint.
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _is_complete(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / COMPLETE).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _complete_ones(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if _is_complete(path)]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])

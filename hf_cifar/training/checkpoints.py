"""Checkpoints that are complete: marked once all of one is on disk, and kept until a newer one is.

`Trainer` writes the files, which is no more than a copy to the system's memory. That they reach the disk, their
checksums, the mark and the removal of older ones go on in a thread while the next steps are taken, which can change
nothing in the files. A kill meanwhile leaves a checkpoint without a mark, and the one before it.

The newest are kept whole, since training continues from them. The best epoch is chosen by its weights alone: once it is
no longer among the newest, the rest of it is removed.
"""

import json
import re
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from hf_cifar.errors import TrainingError
from hf_cifar.training.finetune.ema import FILE as AVERAGE
from hf_cifar.training.trainer_compat import SaveAfterEvaluation
from hf_cifar.utils import processes
from hf_cifar.utils.checksums import find_damage, write_checksums
from hf_cifar.utils.files import write_json
from hf_cifar.utils.progress import say

COMPLETE = "complete.json"
_NAME = re.compile(r"checkpoint-\d+")
STATE = "trainer_state.json"
KEEP = 2  # the last one may turn out to be damaged
# What the weights are read from: the average if there is one, else the network.
_AVERAGE = re.compile(re.escape(AVERAGE))
_NETWORK = re.compile(r"config\.json|model.*\.safetensors(\.index\.json)?")


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
        keep: number of newest checkpoints to keep; the weights of the best one are kept as well.
        every_epoch: save one after every epoch, so that the best epoch can be restored from it.
        watched: stop training when weights are no longer finite.

    Attributes:
        waited: seconds that training stood still for checkpoints, in this process and this call.
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
        self.waited = 0.0
        self._since = 0.0
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Load the additional state of the checkpoint to resume; remove checkpoints that are damaged or newer."""
        if processes.is_main():
            for folder in _checkpoints(self.folder):
                if not _is_complete(folder) or self.resume is None or _step(folder) > _step(self.resume):
                    _remove(folder)
        if self.resume is not None:
            for part in self.saved:
                part.load(self.resume)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put off a checkpoint that is due at the last step of an epoch; another waits for the one before."""
        super().on_step_end(args, state, control, **kwargs)
        self._since = time.perf_counter()
        if control.should_save:
            self.wait()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Wait for the checkpoint before the one that is written next."""
        self._since = time.perf_counter()
        if control.should_save:
            self.wait()

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Complete the newest checkpoint; in the background mark it, and only then remove older ones.

        Raises:
            TrainingError: the weights are no longer finite; the checkpoint stays unmarked.
        """
        newest = self.folder / f"checkpoint-{state.global_step}"
        for part in self.saved:
            part.save(newest)
        bad = [name for name, value in model.state_dict().items() if not _is_finite(value)]
        if bad and self.watched:
            raise TrainingError(
                f"weights became infinite or NaN at step {state.global_step} (such as {bad[0]}): "
                "try a lower --learning-rate; the last good checkpoint stays"
            )
        processes.wait_for_all()
        if processes.is_main():
            self.wait()
            self._writing = self._writer.submit(self._finish, newest)
        self.waited += time.perf_counter() - self._since

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Wait for the last checkpoint, in every process: the best epoch's weights are read next."""
        self._since = time.perf_counter()
        self.wait()
        self.waited += time.perf_counter() - self._since
        processes.wait_for_all()

    def wait(self) -> None:
        """Wait until the newest checkpoint is marked, and raise what went wrong with it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Let the newest checkpoint be marked, also after an error that ended training; raises nothing."""
        self._writer.shutdown()

    def _finish(self, newest: Path) -> None:
        _mark(newest)
        self._rotate()

    def _rotate(self) -> None:
        """Keep the newest checkpoints, and the weights of the epochs that are the best ones to their knowledge."""
        complete = _complete_ones(self.folder)
        newest = [path for path in complete if _can_be_resumed(path)][: self.keep]
        # The one before the newest may know another best epoch, and training may have to continue from there.
        best = {f"checkpoint-{read_state(path).best_global_step}" for path in newest}
        for old in complete:
            if old.name in best and old not in newest:
                _reduce_to_weights(old)
            elif old not in newest:
                _remove(old)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest undamaged checkpoint that training can continue from, or None; what is damaged is said."""
    for path in _checkpoints(folder):
        damage = find_damage(path / COMPLETE)
        if damage is not None:
            say(f"warning: {path.name} is incomplete or damaged ({damage}): the one before it is used")
        elif _can_be_resumed(path):
            return path
    return None


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return the checkpoint of a step; there may be nothing but weights in it.

    Raises:
        TrainingError: it is missing or damaged.
    """
    path = folder / f"checkpoint-{step}"
    damage = find_damage(path / COMPLETE)
    if damage is not None:
        raise TrainingError(
            f"{path}, the best epoch's checkpoint, is gone or damaged ({damage}): start over with --overwrite"
        )
    return path


def read_state(checkpoint: Path) -> TrainerState:
    """Read the `TrainerState` of a checkpoint: steps, history, and the best step so far."""
    return TrainerState.load_from_json(str(checkpoint / STATE))


def _is_finite(values: torch.Tensor) -> bool:
    """Return whether all values are finite; six times as fast as to ask each, where their sum does not overflow."""
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def _mark(folder: Path) -> None:
    """Mark a checkpoint complete once its files are on disk; the mark lists every file with its size and checksum."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != COMPLETE]
    write_checksums(folder / COMPLETE, files)


def _reduce_to_weights(folder: Path) -> None:
    """Remove what only resuming needs from a complete checkpoint.

    The mark changes first, as a whole: a kill at any moment leaves a complete checkpoint, or complete weights beside
    files that belong to nothing, which the next call removes.
    """
    recorded = _recorded(folder)
    pattern = _AVERAGE if AVERAGE in recorded else _NETWORK
    weights = {name: entry for name, entry in recorded.items() if pattern.fullmatch(name)}
    if not weights:
        return
    if weights != recorded:
        write_json(folder / COMPLETE, weights)
    for path in folder.iterdir():
        if path.name not in (COMPLETE, *weights):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _can_be_resumed(complete: Path) -> bool:
    """Return whether a complete checkpoint is more than weights."""
    return STATE in _recorded(complete)


def _recorded(complete: Path) -> dict[str, Any]:
    """Return the files of a complete checkpoint, by name."""
    recorded: dict[str, Any] = json.loads((complete / COMPLETE).read_text(encoding="utf-8"))
    return recorded


def _remove(folder: Path) -> None:
    # The mark goes first, so that a half-removed folder is never taken for a complete checkpoint.
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _is_complete(folder: Path) -> bool:
    """Return whether all files are there with their sizes; their content is compared when they are used."""
    return find_damage(folder / COMPLETE, content=False) is None


def _checkpoints(folder: Path) -> list[Path]:
    """Return the folders with the names of checkpoints, the newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted(found, key=_step, reverse=True)


def _complete_ones(folder: Path) -> list[Path]:
    return [path for path in _checkpoints(folder) if _is_complete(path)]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])

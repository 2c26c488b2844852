"""Experiment trackers of `--report-to` that keep their files with the run."""

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

TENSORBOARD = "tensorboard"


def uses_tensorboard(args: TrainingArguments) -> bool:
    """Return whether a training is followed by TensorBoard."""
    return TENSORBOARD in (args.report_to or ())


def tensorboard_folder(stage: Path) -> Path:
    """Return the folder of the event files of a stage, `RUN/tensorboard/STAGE`."""
    return stage.parent / TENSORBOARD / stage.name


class RunTensorBoardCallback(TensorBoardCallback):
    """Logs to the folder of the run, where `Trainer`'s own callback writes among the checkpoints.

    Args:
        folder: of the event files; those of a run that was replaced are removed when training begins.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.logging_dir = str(folder)

    def writer(self) -> Any:
        """Return a `SummaryWriter` of tensorboard, or of tensorboardX, for the folder."""
        return self._SummaryWriter(log_dir=self.logging_dir)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin with an empty folder, unless training is continued."""
        if state.is_world_process_zero and not state.global_step:
            shutil.rmtree(self.logging_dir, ignore_errors=True)
        super().on_train_begin(args, state, control, **kwargs)

"""Callbacks of both stages: history, epochs and early stopping."""

import re
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.data.loader import ImageDataset
from hf_cifar.training.trainer_compat import set_epoch
from hf_cifar.utils.files import write_csv

LEADING_COLUMNS = ("epoch", "step", "strength", "iterations", "converged", "seconds", "loss", "learning_rate")


class HistoryCallback(TrainerCallback):
    """Writes `history.csv`: one row per logged step, with loss, learning rate of each group and validation metrics.

    Args:
        path: of the file; rewritten from the state after every log, so a resumed run continues it.
        heads: number of heads whose losses are summed in the logged one.
    """

    def __init__(self, path: Path, heads: int = 1) -> None:
        self.path = path
        self.heads = heads

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Rewrite the file with the newest entry."""
        if not state.is_world_process_zero:
            return
        rows: dict[float, dict[str, Any]] = {}
        for entry in state.log_history:
            if "train_runtime" in entry:
                continue
            row = rows.setdefault(entry["step"], {"epoch": entry["epoch"], "step": entry["step"]})
            for name, value in entry.items():
                if name == "loss":
                    row["loss"] = value / self.heads
                elif name == "learning_rate" or name.startswith("learning_rate/"):
                    row[name] = value
                elif name.startswith("eval_") and not name.endswith(("_runtime", "_per_second", "_loss")):
                    row["validation_" + name.removeprefix("eval_")] = value
        write_history(self.path, list(rows.values()))


class EpochCallback(TrainerCallback):
    """Sets the epoch of the training images and of their order before the first batch of an epoch is drawn.

    Args:
        dataset: augmented images; None for cached features.
    """

    def __init__(self, dataset: ImageDataset | None = None) -> None:
        self.dataset = dataset

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        train_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Set the epoch of order and augmentation."""
        epoch = int(state.epoch or 0)
        set_epoch(train_dataloader, epoch)
        if self.dataset is not None:
            self.dataset.set_epoch(epoch)


class EarlyStoppingCallback(TrainerCallback):
    """Stops training when a validation metric has not improved for some epochs.

    Args:
        metric: name of the validation metric.
        greater_is_better: whether a higher value is better.
        patience: epochs without improvement.
    """

    def __init__(self, metric: str, greater_is_better: bool, patience: int) -> None:
        self.metric = metric
        self.greater_is_better = greater_is_better
        self.patience = patience

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop after this epoch if the patience is exhausted."""
        if self.due(state):
            control.should_training_stop = True

    def due(self, state: TrainerState) -> bool:
        """Return whether the history says to stop, which a resumed run can tell as well."""
        name = f"eval_{self.metric}"
        values = [
            entry[name] if self.greater_is_better else -entry[name] for entry in state.log_history if name in entry
        ]
        return len(values) > self.patience and max(values[-self.patience :]) <= max(values[: -self.patience])


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV, with every column that any of them has.

    Columns of a head (`NAME/RATE`) are sorted by rate, those of a layer group (`NAME/GROUP`) by depth.
    """
    write_csv(path, rows, sorted({name for row in rows for name in row}, key=_column_order))


def _column_order(name: str) -> tuple[int, str, float, list[tuple[int, str]]]:
    """Return a sort key: kind of column, then rate or layer, with numbers in numeric order and the head last."""
    kind, _, part = name.partition("/")
    index = LEADING_COLUMNS.index(kind) if kind in LEADING_COLUMNS else len(LEADING_COLUMNS)
    try:
        return index, kind, float(part or -1), []
    except ValueError:
        pieces = [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", part)]
        return index, kind, float(part == "head"), pieces

"""What watches a training run: its history, its progress bar, its epochs, and when it is time to stop."""

import re
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.data.loader import ImageDataset
from hf_cifar.utils.files import write_csv
from hf_cifar.utils.progress import progress

LEADING_COLUMNS = ("epoch", "step", "strength", "iterations", "seconds", "loss", "learning_rate")


class HistoryCallback(TrainerCallback):
    """Keeps `history.csv`: one row a logged step, with the loss, each group's learning rate and validation metrics.

    Args:
        path: of the file; it is written anew after every log, from the state, so a resumed run continues it.
        heads: how many losses the logged one is the sum of.
    """

    def __init__(self, path: Path, heads: int = 1) -> None:
        self.path = path
        self.heads = heads

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Add the newest entry of the log to the file."""
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


class ProgressCallback(TrainerCallback):
    """One bar for the whole of training, on standard error, where a person is looking."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar, at the step that training starts from."""
        self.bar = progress(None, self.what, "step", total=state.max_steps, initial=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the newest validation accuracy."""
        if self.bar is not None and metrics:
            self.bar.set_postfix(validation_accuracy=f"{metrics['eval_accuracy']:.2%}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


class EpochCallback(TrainerCallback):
    """Tells the training images, and the order they come in, which epoch it is, before its first batch is made.

    Args:
        dataset: of images; None where cached features are trained on.
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
        """Let order and augmentation be those of this epoch."""
        epoch = int(state.epoch or 0)
        train_dataloader.batch_sampler.set_epoch(epoch)
        if self.dataset is not None:
            self.dataset.set_epoch(epoch)


class EarlyStoppingCallback(TrainerCallback):
    """Stops when a validation metric has not got better for some epochs.

    Args:
        metric: its name among the validation metrics.
        greater_is_better: which way better is.
        patience: epochs.
    """

    def __init__(self, metric: str, greater_is_better: bool, patience: int) -> None:
        self.metric = metric
        self.greater_is_better = greater_is_better
        self.patience = patience

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop after this epoch, if it is time."""
        if self.due(state):
            control.should_training_stop = True

    def due(self, state: TrainerState) -> bool:
        """Whether the history says that training is to stop; so a resumed run knows it too."""
        name = f"eval_{self.metric}"
        values = [
            entry[name] if self.greater_is_better else -entry[name] for entry in state.log_history if name in entry
        ]
        return len(values) > self.patience and max(values[-self.patience :]) <= max(values[: -self.patience])


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as CSV, with every column that any of them has; what is kept a head (`NAME/RATE`) goes by its rate.

    What is kept a layer group (`NAME/GROUP`) goes by its place in the network.
    """
    write_csv(path, rows, sorted({name for row in rows for name in row}, key=_column_place))


def _column_place(name: str) -> tuple[int, str, float, list[tuple[int, str]]]:
    """By kind, then by rate or by layer, with numbers in their order and the head last."""
    kind, _, part = name.partition("/")
    place = LEADING_COLUMNS.index(kind) if kind in LEADING_COLUMNS else len(LEADING_COLUMNS)
    try:
        return place, kind, float(part or -1), []
    except ValueError:
        pieces = [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", part)]
        return place, kind, float(part == "head"), pieces

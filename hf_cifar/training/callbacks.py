"""What watches a training run: its history, its progress bar, its epochs and its checkpoints."""

import csv
import io
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_cifar.data.loader import ImageDataset
from hf_cifar.files import write_text
from hf_cifar.progress import progress

COMPLETE = "complete"
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
    """Tells the training images which epoch it is, before the loader makes its first batch of it."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let the augmentation draw as it does in this epoch."""
        self.dataset.set_epoch(int(state.epoch or 0))


class CompleteCallback(TrainerCallback):
    """Marks a checkpoint once all of it is written, so that half of one is never taken for a whole."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the mark into the newest checkpoint."""
        write_text(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / COMPLETE, "")


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, or None."""
    found = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as CSV, with every column that any of them has; what is kept a head (`NAME/RATE`) goes by its rate."""
    columns = sorted({name for row in rows for name in row}, key=_column_place)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _column_place(name: str) -> tuple[int, str, float]:
    kind, _, rate = name.partition("/")
    return (
        LEADING_COLUMNS.index(kind) if kind in LEADING_COLUMNS else len(LEADING_COLUMNS),
        kind,
        float(rate or -1),
    )

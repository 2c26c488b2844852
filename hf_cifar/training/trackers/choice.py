"""Which trackers a training has, and where each keeps its files."""

from pathlib import Path

from transformers import TrainingArguments

from hf_cifar.training.trackers.mlflow import MLflow
from hf_cifar.training.trackers.tensorboard import TensorBoard
from hf_cifar.training.trackers.tracker import Tracker
from hf_cifar.training.trackers.trackio import Trackio
from hf_cifar.training.trackers.wandb import Wandb

DEFAULT_PROJECT = TrainingArguments.__dataclass_fields__["project"].default


def local_trackers(args: TrainingArguments, stage: Path) -> dict[str, Tracker]:
    """Return the trackers of `--report-to` that keep their files in the folder of the run; others are Trainer's own.

    Args:
        args: of the training.
        stage: its folder, `RUN/STAGE`.
    """
    run, name = stage.parent, args.run_name or stage.name
    project = run.absolute().name if args.project == DEFAULT_PROJECT else args.project
    known: dict[str, Tracker] = {
        "tensorboard": TensorBoard(run / "tensorboard" / stage.name),
        "mlflow": MLflow(run / "mlflow", project, name),
        "wandb": Wandb(run, project, stage.name, name),
    }
    if args.trackio_space_id is None:
        known["trackio"] = Trackio(run / "trackio", project, name)
    return {tracker: known[tracker] for tracker in args.report_to or () if tracker in known}

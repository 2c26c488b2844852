"""What the trackers of `--report-to` get of a finished stage, beside its curves."""

from transformers import TrainingArguments

from hf_cifar.run.result import StageResult
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.training.trackers.choice import local_trackers
from hf_cifar.training.trackers.tracker import TrackedResults
from hf_cifar.utils import processes
from hf_cifar.utils.progress import say

LOGGED = ("accuracy", "balanced_accuracy", "f1_macro", "nll", "ece")


def log_to_trackers(result: StageResult, args: TrainingArguments) -> None:
    """Add the results of a stage to what its trackers have logged, and say how to look at it.

    Args:
        result: of the stage.
        args: of its training.
    """
    trackers = local_trackers(args, result.folder.path)
    if not trackers or not processes.is_main():
        return
    splits = {"test": result.metrics.test, "validation": result.metrics.validation}
    metrics = {f"final_{name}/{metric}": value for name, split in splits.items() for metric, value in _of(split)}
    results = TrackedResults(result.headline(), metrics, result.figures, result.report)
    for tracker in trackers.values():
        say(f"curves, figures and metrics: {tracker.add_results(results)}")


def _of(split: SplitMetrics | None) -> list[tuple[str, float]]:
    return [] if split is None else [(name, getattr(split, name)) for name in LOGGED]

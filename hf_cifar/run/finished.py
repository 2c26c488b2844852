"""The finished stages of a run's folder, in a line and in a table."""

from html import escape
from pathlib import Path

from hf_cifar.run.result import StageResult
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.formatting import interval, percent
from hf_cifar.utils.table import Table

STAGES = ("probe", "finetune", "evaluate")


def finished_stages(folder: Path) -> list[StageResult]:
    """Return the results of the stages that are finished in the folder of a run, in their order."""
    found = [stage for stage in STAGES if StageFolder(folder / stage).metrics.is_file()]
    return [StageResult(stage, folder, StageMetrics.read(StageFolder(folder / stage).metrics)) for stage in found]


def finished_line(folder: Path) -> str:
    """Return `runs/a: probe 94.98%, finetune 97.21%`."""
    done = [f"{result.stage} {_accuracy(result)}" for result in finished_stages(folder)]
    return f"{folder}: {', '.join(done) or 'nothing is finished'}"


def finished_html(folder: Path) -> str:
    """Return the finished stages as a table in HTML."""
    rows = [
        (
            result.stage,
            result.metrics.split,
            _accuracy(result),
            interval(result.metrics.test.accuracy_ci95, result.metrics.test.num_examples),
            f"{result.metrics.test.num_examples:,}",
        )
        for result in finished_stages(folder)
    ]
    if not rows:
        return f"<p>{escape(finished_line(folder))}</p>"
    columns = ("stage", "split", "accuracy", "95% interval", "images")
    return Table(columns, rows, num_text_columns=2, title=finished_line(folder)).html()


def _accuracy(result: StageResult) -> str:
    return percent(result.metrics.test.accuracy, result.metrics.test.num_examples)

"""The result of a training stage or an evaluation: metrics, figures and a model, in Python and in a notebook."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_html import stage_html
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.wording import describe_ood, describe_without_leaks
from hf_cifar.utils.formatting import error, interval, percent


@dataclass(frozen=True)
class StageResult:
    """The result of a training stage, or of an evaluation.

    Attributes:
        stage: its name.
        output_dir: the folder of the run.
        metrics: what was measured.
        before: the stage before it, where both belong to one run (lpft).
    """

    stage: str
    output_dir: Path
    metrics: StageMetrics
    before: "StageResult | None" = None

    @property
    def folder(self) -> StageFolder:
        """Return the folder of the stage."""
        return StageFolder(self.output_dir / self.stage)

    @property
    def model_dir(self) -> Path:
        """Return the saved model: `pipeline("image-classification", model=str(result.model_dir))`."""
        return Path(self.metrics.model_dir) if self.metrics.model_dir else self.folder.model

    @property
    def report(self) -> Path:
        """Return the path of the report, one page that opens offline."""
        return self.folder.report

    @property
    def figures(self) -> dict[str, Path]:
        """Return the figures by name, such as `confusion_matrix`."""
        return {path.stem: path for path in sorted(self.folder.figures.glob("*.png"))}

    @property
    def status(self) -> int:
        """Return the exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output, as plain values."""
        metrics = self.metrics
        values: dict[str, Any] = {
            "stage": self.stage if self.before is None else "lpft",
            "output_dir": str(self.output_dir),
            "model_dir": str(self.model_dir),
            "report": str(self.report),
            "dataset": metrics.dataset.id,
            "split": metrics.split,
            "accuracy": metrics.test.accuracy,
            "accuracy_ci95": list(metrics.test.accuracy_ci95),
        }
        if self.before is not None:
            values["probe_accuracy"] = self.before.metrics.test.accuracy
        values |= {"balanced_accuracy": metrics.test.balanced_accuracy}
        values |= {"f1_macro": metrics.test.f1_macro, "ece": metrics.test.ece, "num_test": metrics.test.num_examples}
        if metrics.dataset.num_trained_on is not None:
            values["num_trained_on"] = metrics.dataset.num_trained_on
        if metrics.without_leaks is not None:
            values["accuracy_without_leaks"] = metrics.without_leaks.accuracy
            values["num_leaks"] = metrics.without_leaks.num_left_out
        if metrics.validation is not None:
            values["validation_accuracy"] = metrics.validation.accuracy
            values["validation_balanced_accuracy"] = metrics.validation.balanced_accuracy
        if metrics.robustness is not None:
            values["mean_corruption_accuracy"] = metrics.robustness.mean_corruption_accuracy
        if metrics.ood is not None:
            values["ood_auroc"] = {item.name: item.auroc for item in metrics.ood.compared}
        return {**values, "seconds": metrics.wall_seconds}

    def headline(self) -> str:
        """Return one line with the accuracy, for the person who watches."""
        metrics, test = self.metrics, self.metrics.test
        count = test.num_examples
        line = (
            f"{self.stage}: {metrics.split} accuracy {percent(test.accuracy, count)} "
            f"(95% CI {interval(test.accuracy_ci95, count)}, {count:,} images), "
            + (f"balanced accuracy {percent(test.balanced_accuracy, count)}, " if test.is_imbalanced else "")
            + f"macro F1 {percent(test.f1_macro, count)}"
        )
        if test.f1_macro != test.f1_macro_present:
            line += f" ({percent(test.f1_macro_present, count)} over the classes present)"
        line += f", ECE {error(test.ece)}"
        if test.ece_calibrated is not None:
            line += f" ({error(test.ece_calibrated)} at temperature {test.temperature:.3f})"
        if metrics.validation is not None:
            validation = metrics.validation
            line += f", validation accuracy {percent(validation.accuracy, validation.num_examples)}"
            if validation.is_imbalanced:
                line += f" (balanced {percent(validation.balanced_accuracy, validation.num_examples)})"
        if metrics.without_leaks is not None:
            line += f", {describe_without_leaks(metrics.without_leaks)}"
        if metrics.robustness is not None:
            line += f", on corrupted images {percent(metrics.robustness.mean_corruption_accuracy)}"
        if metrics.ood is not None:
            line += f", unlike images told apart by {describe_ood(metrics.ood)}"
        return line

    def _repr_html_(self) -> str:
        """Return what a notebook shows: how good the stage is, its worst mistakes and its figures."""
        return stage_html(self.stage, self.metrics, self.folder, self.figures)

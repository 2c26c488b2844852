"""What a stage has come to: metrics, pictures and a model, as Python objects and in a notebook."""

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from hf_cifar.run.stage_folder import StageFolder


@dataclass(frozen=True)
class StageResult:
    """What a training stage, or an evaluation, has come to.

    Attributes:
        stage: its name.
        output_dir: the folder of the run.
        metrics: the content of metrics.json.
        before: the stage before it, where both belong to one run (lpft).
    """

    stage: str
    output_dir: Path
    metrics: dict[str, Any]
    before: "StageResult | None" = None

    @property
    def folder(self) -> StageFolder:
        """The files that the stage has left."""
        return StageFolder(self.output_dir / self.stage)

    @property
    def model_dir(self) -> Path:
        """The saved model: `pipeline("image-classification", model=str(result.model_dir))`."""
        return Path(self.metrics["model_dir"]) if "model_dir" in self.metrics else self.folder.model

    @property
    def report(self) -> Path:
        """One page with everything, which opens offline."""
        return self.folder.report

    @property
    def figures(self) -> dict[str, Path]:
        """The pictures by name, such as `confusion_matrix`."""
        return {path.stem: path for path in sorted(self.folder.figures.glob("*.png"))}

    @property
    def status(self) -> int:
        """The exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""
        test, dataset = self.metrics["test"], self.metrics["dataset"]
        found = {
            "stage": self.stage if self.before is None else "lpft",
            "output_dir": str(self.output_dir),
            "model_dir": str(self.model_dir),
            "report": str(self.report),
            "dataset": dataset["id"],
            "split": self.metrics.get("split", "test"),
            "accuracy": test["accuracy"],
            "accuracy_ci95": test["accuracy_ci95"],
        }
        if self.before is not None:
            found["probe_accuracy"] = self.before.metrics["test"]["accuracy"]
        found |= {"f1_macro": test["f1_macro"], "ece": test["ece"], "num_test": test["num_examples"]}
        if "validation" in self.metrics:
            found["validation_accuracy"] = self.metrics["validation"]["accuracy"]
        if "robustness" in self.metrics:
            found["mean_corruption_accuracy"] = self.metrics["robustness"]["mean_corruption_accuracy"]
        found["seconds"] = self.metrics.get("train", self.metrics)["seconds"]
        return found

    def headline(self) -> str:
        """One line with the accuracy, for the person who watches."""
        test, split = self.metrics["test"], self.metrics.get("split", "test")
        low, high = test["accuracy_ci95"]
        line = (
            f"{self.stage}: {split} accuracy {test['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}, "
            f"{test['num_examples']:,} images), macro F1 {test['f1_macro']:.2%}, ECE {test['ece']:.4f}"
        )
        if test["temperature"] is not None:
            line += f" ({test['ece_calibrated']:.4f} at temperature {test['temperature']:.3f})"
        if "validation" in self.metrics:
            line += f", validation accuracy {self.metrics['validation']['accuracy']:.2%}"
        if "robustness" in self.metrics:
            line += f", on corrupted images {self.metrics['robustness']['mean_corruption_accuracy']:.2%}"
        return line

    def _repr_html_(self) -> str:
        """What a notebook shows: the headline and the pictures."""
        pictures = [
            f'<figure style="display:inline-block;margin:4px"><img alt="{escape(name)}" style="max-width:480px" '
            f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"></figure>'
            for name, path in self.figures.items()
        ]
        return f"<p>{escape(self.headline())}</p>" + "".join(pictures)

"""The folder of a stage: what it holds, by name. Light: it knows no model and no data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.run.stage_metrics import StageMetrics

METRICS_FILE = "metrics.json"
EXAMPLES_FILE = "examples.json"  # in the folder of the examples
# In the folder of the run, above those of its stages.
RUN_FILE = "run.yaml"
SPLITS_FILE = "splits.json"


@dataclass(frozen=True)
class StageFolder:
    """What one stage leaves behind, in `runs/NAME/STAGE`.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where `Trainer` keeps what `--resume` needs."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The saved model, which opens anywhere."""
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        """One row a test image."""
        return self.path / "predictions.parquet"

    @property
    def history(self) -> Path:
        """One row an epoch, or a logged step."""
        return self.path / "history.csv"

    @property
    def mistakes(self) -> Path:
        """Every test image that was answered wrongly, the worst first."""
        return self.path / "mistakes.csv"

    @property
    def label_errors(self) -> Path:
        """The test images whose label is in doubt, the most doubtful first."""
        return self.path / "label_errors.csv"

    @property
    def figures(self) -> Path:
        """A folder of pictures."""
        return self.path / "figures"

    @property
    def examples(self) -> Path:
        """A folder of test images, one of each of some classes, with `examples.json`: what the model says of them."""
        return self.path / "examples"

    @property
    def report(self) -> Path:
        """All of it on one page."""
        return self.path / "report.html"

    @property
    def metrics(self) -> Path:
        """The file that is written last: with it the stage is done."""
        return self.path / METRICS_FILE

    def read_metrics(self) -> StageMetrics | None:
        """Return the metrics of a stage that is done, or None.

        Raises:
            InputError: the file is damaged.
        """
        return StageMetrics.read(self.metrics) if self.metrics.is_file() else None

    def done(self) -> dict[str, Any] | None:
        """The metrics of a stage that is done, or None."""
        return json.loads(self.metrics.read_text()) if self.metrics.is_file() else None

"""The files of a stage, by name. Light: nothing of models or data is imported."""

from dataclasses import dataclass
from pathlib import Path

from hf_cifar.run.stage_metrics import StageMetrics

METRICS_FILE = "metrics.json"
EXAMPLES_FILE = "examples.json"  # in the folder of the examples
# In the folder of the run, above those of its stages.
RUN_FILE = "run.yaml"
SPLITS_FILE = "splits.json"
IMAGE_HASHES_FILE = "image_hashes.npz"


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage, `runs/NAME/STAGE`.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints that `--resume` needs."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Return the folder of the saved model."""
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        """Return the file with one row per test image."""
        return self.path / "predictions.parquet"

    @property
    def history(self) -> Path:
        """Return the file with one row per epoch, or per logged step."""
        return self.path / "history.csv"

    @property
    def mistakes(self) -> Path:
        """Return the file of the misclassified test images, the worst first."""
        return self.path / "mistakes.csv"

    @property
    def label_errors(self) -> Path:
        """Return the file of the suspected label errors, the most suspicious first."""
        return self.path / "label_errors.csv"

    @property
    def figures(self) -> Path:
        """Return the folder of the figures."""
        return self.path / "figures"

    @property
    def examples(self) -> Path:
        """Return the folder of a few test images, with their predictions in `examples.json`."""
        return self.path / "examples"

    @property
    def report(self) -> Path:
        """Return the report, one page with everything."""
        return self.path / "report.html"

    @property
    def metrics(self) -> Path:
        """Return the file that is written last: a stage with it is finished."""
        return self.path / METRICS_FILE

    def read_metrics(self) -> StageMetrics | None:
        """Return the metrics of a stage that is done, or None.

        Raises:
            InputError: the file is damaged.
        """
        return StageMetrics.read(self.metrics) if self.metrics.is_file() else None

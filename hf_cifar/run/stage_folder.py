"""The files of a stage, by name. Light: nothing of models or data is imported."""

from dataclasses import dataclass
from pathlib import Path

from hf_cifar.errors import InputError
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.checksums import find_damage, write_checksums

METRICS_FILE = "metrics.json"
CHECKSUMS_FILE = "checksums.json"  # of the saved model
AUDIT_FOLDER = "audit"  # of the run's dataset
EXAMPLES_FILE = "examples.json"  # in the folder of the examples
# In the folder of the run, above those of its stages.
RUN_FILE = "run.yaml"
SPLITS_FILE = "splits.json"
SEEDS_FILE = "seeds.json"  # of a run over several seeds; written last
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
    def checksums(self) -> Path:
        """Return the file with the checksums of the saved model; an older version wrote none."""
        return self.path / CHECKSUMS_FILE

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

    def seal_model(self) -> None:
        """Record the checksums of the saved model."""
        write_checksums(self.checksums, [path for path in self.model.rglob("*") if path.is_file()])

    def find_damage(self) -> str | None:
        """Return what is wrong with the results of a stage that has metrics, in a few words; None where nothing is."""
        try:
            self.read_metrics()
        except InputError:
            return f"{METRICS_FILE} is damaged"
        if self.checksums.is_file():
            return find_damage(self.checksums)
        return None if (self.model / "config.json").is_file() else "the model is missing"


def damage_beside(model: Path) -> str | None:
    """Return what is wrong with a model that a stage has saved; None where nothing is, or no stage has saved it."""
    stage = StageFolder(model.expanduser().parent)
    return find_damage(stage.checksums) if stage.model.name == model.name and stage.checksums.is_file() else None

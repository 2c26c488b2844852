"""What was asked for, as stages take it."""

from dataclasses import dataclass
from pathlib import Path

from hf_cifar.config.locate import DatasetLocation, Location
from hf_cifar.config.run_config import RunConfig
from hf_cifar.run.origins import StartKind
from hf_cifar.run.recorded_run import RecordedRun


@dataclass(frozen=True)
class Request:
    """What was asked for, with everything that it names located.

    Attributes:
        config: every option.
        model: the saved model or the architecture that the stage takes; None where it takes none.
        beside: the other models of a stage that takes several.
        weights: of that architecture, where they are not its own.
        start: what a training stage starts from.
        dataset: None where the stage takes no images, or takes the checkpoint's own.
        trained_by: the run that the checkpoint, or what `--from` names, belongs to; None if it is not a run's.
        adds_to_probe: whether the run fine-tunes the probe that its folder holds already.
    """

    config: RunConfig
    model: Location | None = None
    beside: tuple[Location, ...] = ()
    weights: Location | None = None
    start: StartKind | None = None
    dataset: DatasetLocation | None = None
    trained_by: RecordedRun | None = None
    adds_to_probe: bool = False

    @property
    def folder(self) -> Path:
        """Return the folder of the run."""
        return self.config.folder

    @property
    def checkpoint(self) -> Location:
        """Return the trained model that the stage takes.

        Raises:
            ValueError: the stage takes none.
        """
        if self.model is None:
            raise ValueError(f"--stage {self.config.stage} takes no checkpoint")
        return self.model

"""Weights & Biases runs of a run's stages; see https://docs.wandb.ai."""

import netrc
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from hf_cifar.training.trackers.tracker import TrackedResults, plain
from hf_cifar.utils.files import write_text

MODE, FOLDER, PROJECT, KEY = "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_API_KEY"
HOST = "api.wandb.ai"
STEP = "train/global_step"  # as Trainer's own callback names it


class Wandb:
    """Logs a stage as a run of wandb, offline where there is no account.

    It stays open until its results are there: one that is opened a second time would be two when it is synchronised.

    Args:
        run: folder of the run, in which wandb makes its own, unless the environment variable WANDB_DIR names another.
        project: that the stage belongs to, unless WANDB_PROJECT names another.
        stage, name: of the stage, in files and as shown.
    """

    open_runs: ClassVar[dict[Path, Any]] = {}

    def __init__(self, run: Path, project: str, stage: str, name: str) -> None:
        self.folder = Path(os.environ.get(FOLDER) or run).absolute()
        self.project, self.name = os.environ.get(PROJECT, project), name
        self.id_file = run.absolute() / "wandb" / f"{stage}.id"

    def begin(self, settings: Mapping[str, Any], resumed: bool) -> None:
        """Begin a run of wandb with the settings, or continue it."""
        if not resumed:
            self._remove_earlier()
        self._open(config={name: plain(value) for name, value in settings.items()})

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers."""
        if self.id_file in self.open_runs:
            self.open_runs[self.id_file].log({**values, STEP: step})

    def end(self) -> None:
        """Leave the run open for the results."""

    def add_results(self, results: TrackedResults) -> str:
        """Add metrics, figures and the report, and close the run."""
        import wandb

        run = self._open()
        run.summary.update({**results.metrics, "headline": results.headline})
        images = {f"figures/{name}": wandb.Image(str(path)) for name, path in results.figures.items()}
        run.log({**images, "report": wandb.Html(results.report.read_text(encoding="utf-8"), inject=False)})
        self._close()
        return f'wandb sync "{Path(run.dir).parent}"' if run.offline else str(run.url)

    def _open(self, config: dict[str, Any] | None = None) -> Any:
        if self.id_file in self.open_runs:
            return self.open_runs[self.id_file]
        import wandb

        if not self.id_file.is_file():
            self.id_file.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.id_file, uuid.uuid4().hex[:8])
        run = wandb.init(
            dir=str(self.folder),
            project=self.project,
            name=self.name,
            id=self.id_file.read_text(encoding="utf-8").strip(),
            resume="allow",
            reinit="create_new",  # beside one that the user of a notebook has opened
            config=config,
            mode=None if os.environ.get(MODE) or _has_account() else "offline",
            settings=wandb.Settings(silent=True, console="off"),
        )
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        self.open_runs[self.id_file] = run
        return run

    def _close(self) -> None:
        if self.id_file in self.open_runs:
            self.open_runs.pop(self.id_file).finish()

    def _remove_earlier(self) -> None:
        """Forget what an earlier run logged; on a server it stays, as a run of its own."""
        self._close()
        if self.id_file.is_file():
            for folder in (self.folder / "wandb").glob(f"*run-*-{self.id_file.read_text(encoding='utf-8').strip()}"):
                shutil.rmtree(folder, ignore_errors=True)
            self.id_file.unlink()


def _has_account() -> bool:
    """Return whether wandb would find a key, which it asks for otherwise."""
    if os.environ.get(KEY):
        return True
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(os.environ.get("NETRC")).authenticators(HOST) is not None
    return False

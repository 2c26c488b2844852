"""Trackio's database of a run; see https://github.com/gradio-app/trackio."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from hf_cifar.training.trackers.tracker import TrackedResults, plain

FOLDER = "TRACKIO_DIR"


class Trackio:
    """Logs a stage to a local project of trackio.

    Args:
        folder: of the databases, unless the environment variable TRACKIO_DIR names another. trackio reads it when it is
            imported, so a process that trains several runs keeps all of them in the folder of the first.
        project: that the stage belongs to.
        name: of the stage.
    """

    def __init__(self, folder: Path, project: str, name: str) -> None:
        self.folder, self.project, self.name = folder, project, name
        self.running = False

    def begin(self, settings: Mapping[str, Any], resumed: bool) -> None:
        """Begin a run of trackio with the settings, or continue it."""
        with self._quiet() as trackio:
            if not resumed:
                self._remove_earlier(trackio)
            self._init(trackio, config={name: plain(value) for name, value in settings.items()})

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers."""
        if self.running:
            with self._quiet() as trackio:
                trackio.log(dict(values), step=step)

    def end(self) -> None:
        """Write what is not yet written."""
        if self.running:
            with self._quiet() as trackio:
                trackio.finish()
            self.running = False

    def add_results(self, results: TrackedResults) -> str:
        """Add metrics and figures to the run, and the report and the figures as artefacts."""
        with self._quiet() as trackio:
            self._init(trackio)
            images = {f"figures/{name}": trackio.Image(str(path)) for name, path in results.figures.items()}
            trackio.log({**results.metrics, **images})
            trackio.log_artifact(str(results.report), name=f"{self.name}-report", type="report")
            trackio.log_artifact(str(results.report.parent / "figures"), name=f"{self.name}-figures", type="figures")
        self.end()
        from trackio.utils import TRACKIO_DIR

        return f'{FOLDER}="{TRACKIO_DIR}" trackio show --project "{self.project}"'

    def _init(self, trackio: Any, **options: Any) -> None:
        trackio.init(project=self.project, name=self.name, resume="allow", embed=False, **options)
        self.running = True

    def _remove_earlier(self, trackio: Any) -> None:
        try:
            earlier = [run for run in trackio.Api().runs(self.project) if run.name == self.name]
        except ValueError:  # the project is new
            return
        for run in earlier:
            run.delete()

    @contextmanager
    def _quiet(self) -> Iterator[Any]:
        """Yield the package, whose words on standard output are not the result of the command."""
        if "trackio" not in sys.modules:
            os.environ.setdefault(FOLDER, str(self.folder.absolute()))
        with redirect_stdout(StringIO()):
            import trackio

            yield trackio

"""MLflow's database and artefacts of a run; see https://mlflow.org."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_cifar.training.trackers.tracker import TrackedResults

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
LONGEST_VALUE = 500  # characters of a parameter, of every version of MLflow
TOGETHER = 100  # parameters of a request


class MLflow:
    """Logs a stage as a run of MLflow.

    Args:
        folder: of the database and the artefacts, unless the environment variable MLFLOW_TRACKING_URI names a server.
        experiment: that the stage belongs to, unless MLFLOW_EXPERIMENT_NAME names another.
        name: of the stage.
    """

    def __init__(self, folder: Path, experiment: str, name: str) -> None:
        self.folder, self.name = folder.absolute(), name
        self.experiment = os.environ.get(EXPERIMENT, experiment)
        self.uri = os.environ.get(URI) or f"sqlite:///{self.folder / 'mlflow.db'}"
        self.client: Any = None
        self.run = ""

    def begin(self, settings: Mapping[str, Any], resumed: bool) -> None:
        """Begin a run of MLflow with the settings, or continue it."""
        earlier = self._earlier()
        if resumed and earlier:
            self.run = earlier[0]
            self.client.update_run(self.run, status="RUNNING")
            return
        for run in earlier:
            self.client.delete_run(run)
        from mlflow.entities import Param

        self.run = self.client.create_run(self._experiment_id(), run_name=self.name).info.run_id
        params = [Param(name, str(value)[:LONGEST_VALUE]) for name, value in settings.items()]
        for first in range(0, len(params), TOGETHER):
            self.client.log_batch(self.run, params=params[first : first + TOGETHER])

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers."""
        if self.run:
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            self.client.log_batch(self.run, [Metric(name, value, now, step) for name, value in values.items()])

    def end(self) -> None:
        """Call the run finished."""
        if self.run:
            self.client.set_terminated(self.run)

    def add_results(self, results: TrackedResults) -> str:
        """Add metrics to the run, and figures and the report as artefacts."""
        self.run = self.run or self._earlier()[0]
        self.log(results.metrics, 0)
        for path in results.figures.values():
            self.client.log_artifact(self.run, str(path), "figures")
        self.client.log_artifact(self.run, str(results.report))
        self.client.set_tag(self.run, "headline", results.headline)
        self.end()
        if URI in os.environ:
            return f"experiment {self.experiment} of {self.uri}"
        return f'mlflow ui --backend-store-uri "{self.uri}"'

    def _earlier(self) -> list[str]:
        """Return the runs of this stage, the latest first; the database is made where there is none."""
        if self.client is None:
            from mlflow import MlflowClient

            # Set once it is imported, which sets its own. The tables of an empty database are no news.
            for name in ("alembic", "mlflow"):
                logging.getLogger(name).setLevel(logging.WARNING)
            if URI not in os.environ:
                self.folder.mkdir(parents=True, exist_ok=True)
            self.client = MlflowClient(tracking_uri=self.uri)
        runs = self.client.search_runs([self._experiment_id()], order_by=["attributes.start_time DESC"])
        return [run.info.run_id for run in runs if run.info.run_name == self.name]

    def _experiment_id(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        place = None if URI in os.environ else (self.folder / "artifacts").as_uri()
        return str(self.client.create_experiment(self.experiment, artifact_location=place))

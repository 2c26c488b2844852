"""What a tracker of `--report-to` gets of a stage: settings, curves, results."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import rewrite_logs


@dataclass(frozen=True)
class TrackedResults:
    """The results of a stage, as trackers show them.

    Attributes:
        headline: in one line.
        metrics: by names such as `final_test/accuracy`.
        figures: PNG files by name.
        report: HTML file.
    """

    headline: str
    metrics: Mapping[str, float]
    figures: Mapping[str, Path]
    report: Path


class Tracker(Protocol):
    """Logs one stage of a run."""

    def begin(self, settings: Mapping[str, Any], resumed: bool) -> None:
        """Begin to log a training.

        Args:
            settings: of the training, by name.
            resumed: whether it is continued; otherwise what an earlier run has logged here is removed.
        """

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log values at a step."""

    def end(self) -> None:
        """End the curves."""

    def add_results(self, results: TrackedResults) -> str:
        """Add the results to what was logged, and return where all of it is and the command that shows it."""


class TrackerCallback(TrainerCallback):
    """Hands what `Trainer` logs to a tracker, in the main process, under the names that Trainer's own callbacks use.

    Args:
        tracker: that gets it.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Begin with the arguments and the configuration of the model."""
        if state.is_world_process_zero:
            config = getattr(model, "config", None)
            of_model = {} if config is None else {f"model.{name}": value for name, value in config.to_dict().items()}
            settings = {**of_model, **args.to_dict()}
            given = {name: value for name, value in settings.items() if value is not None}
            self.tracker.begin(given, resumed=state.global_step > 0)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Log every number."""
        if state.is_world_process_zero:
            numbers = {name: float(value) for name, value in logs.items() if isinstance(value, (int, float))}
            self.tracker.log(rewrite_logs(numbers), state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End the curves."""
        if state.is_world_process_zero:
            self.tracker.end()


def plain(value: Any) -> Any:
    """Return a setting as every tracker takes it: a number, a text, or what is neither as text."""
    return value if isinstance(value, (bool, int, float, str)) else str(value)

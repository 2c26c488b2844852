"""From Python what the command line does: a model and a dataset, taken through the stages.

    Experiment(model="resnet18", dataset="cifar10").probe().finetune().evaluate()

The command line is a thin layer over this module.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from hf_cifar.config.run_config import SHARED_TRAINING_ARGUMENTS, STAGES, TRAIN_BATCH_SIZE, RunConfig, flags, nested
from hf_cifar.errors import unknown_name
from hf_cifar.run.result import StageResult
from hf_cifar.run.run_folder import configured

# Imported when they are used: each brings along what it needs, and no more.
_RUNNERS = {
    "evaluate": ("hf_cifar.stages.evaluate", "run_evaluation"),
    "predict": ("hf_cifar.stages.predict", "run_prediction"),
    "compare": ("hf_cifar.stages.compare", "run_comparison"),
    "export": ("hf_cifar.stages.export", "run_export"),
    "push": ("hf_cifar.stages.push", "run_push"),
}
_TRAINING = ("hf_cifar.stages.train", "run")


class Result(Protocol):
    """What every stage returns."""

    @property
    def status(self) -> int:
        """The exit status of the command line."""

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""


def run(config: RunConfig) -> Any:
    """Run the stage that a configuration names.

    Returns:
        What the stage has come to; of lpft, the fine-tuning's.

    Raises:
        InputError: the request, or what it points at, is wrong.
        TrainingError: training cannot go on.
        Interrupted: a signal came; what is done so far can be gone on from with `resume`.
    """
    module, name = _RUNNERS.get(config.stage, _TRAINING)
    result = getattr(import_module(module), name)(config)
    if config.stages and config.hub.push_to_hub:
        from hf_cifar.stages.push import push
        from hf_cifar.utils import processes

        if processes.is_main():
            push(result.folder.path, config.hub)
        processes.wait_for_all()
    return result


class Experiment:
    """A model on a dataset, and the folder that everything about it goes to.

    Each method runs a stage and returns a `Step`: its metrics and pictures, and the methods of the next stages.

    Args:
        options: as on the command line, by their names without dashes, such as `model="resnet18"`,
            `dataset="cifar10"`, `output_dir="runs/a"`, `seed=1`; also fields of `TrainingArguments`. They hold for
            every stage that they are for; what is given to a method holds for that stage alone.

    Raises:
        InputError: an option that does not exist or does not fit.
    """

    def __init__(self, **options: Any) -> None:
        _check_names(options)
        self.options = options
        self.config("probe")

    def config(self, stage: str, **options: Any) -> RunConfig:
        """The configuration of a stage.

        Raises:
            InputError: an option that does not exist or does not fit.
        """
        _check_names(options)
        values = {name: _plain(value) for name, value in self.options.items()}
        if not STAGES[stage]:
            # Nothing is trained there: what says how to train is for the other stages.
            kept = (*flags(), *SHARED_TRAINING_ARGUMENTS)
            values = {name: value for name, value in values.items() if name in kept}
        given = {name: _plain(value) for name, value in options.items()}
        return configured(nested({**values, **given, "stage": stage}))

    def probe(self, **options: Any) -> "Step":
        """Train a head on the frozen backbone."""
        return self._run("probe", options)

    def finetune(self, **options: Any) -> "Step":
        """Train the backbone too, from the probe where there is one."""
        return self._run("finetune", options)

    def lpft(self, **options: Any) -> "Step":
        """Probe, then fine-tune."""
        return self._run("lpft", options)

    def evaluate(self, **options: Any) -> "Step":
        """Measure the last stage, or `checkpoint`, on a split: `split="validation"`, `dataset="DIR"`."""
        return self._run("evaluate", options)

    def predict(self, images: Any, top_k: int = 5, **options: Any) -> list[list[dict[str, Any]]]:
        """What the last stage's model, or `checkpoint`, answers for images, as `pipeline` would.

        Args:
            images: one or more paths, or PIL images.
            top_k: how many labels each image gets.
            options: such as `checkpoint`, `use_cpu`.

        Returns:
            For each image a list of `{"label": …, "score": …}`, the best first.
        """
        from hf_cifar.inference.predictor import Predictor

        config = self.config("predict", **options)
        use_cpu = bool(config.computing.get("use_cpu", False))
        return Predictor(config.checkpoint or str(config.folder), use_cpu=use_cpu).predict(images, top_k=top_k)

    def export(self, **options: Any) -> Any:
        """Make the folder that opens anywhere, and check it."""
        return run(self.config("export", **options))

    def push_to_hub(self, hub_model_id: str, **options: Any) -> Any:
        """Export the last stage, or `checkpoint`, and push it: `public=True`, `revision="BRANCH"`, `dry_run=True`."""
        return run(self.config("push", hub_model_id=hub_model_id, **options))

    def _run(self, stage: str, options: dict[str, Any]) -> "Step":
        from hf_cifar.stages.preflight import check

        config = self.config(stage, **options)
        check(config)
        return Step(self, run(config))


class Step:
    """A stage of an `Experiment` that is done.

    Attributes:
        experiment: that it belongs to.
        result: what it has come to.
    """

    def __init__(self, experiment: Experiment, result: StageResult) -> None:
        self.experiment = experiment
        self.result = result

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return self.result.metrics

    @property
    def figures(self) -> dict[str, Any]:
        """The pictures by name, as objects that a notebook shows."""
        from PIL import Image

        return {name: Image.open(path) for name, path in self.result.figures.items()}

    @property
    def report(self) -> Path:
        """One page with everything, which opens offline."""
        return self.result.report

    @property
    def model_dir(self) -> Path:
        """The saved model, for `pipeline` and `from_pretrained`."""
        return self.result.model_dir

    def finetune(self, **options: Any) -> "Step":
        """As `Experiment.finetune`."""
        return self.experiment.finetune(**options)

    def evaluate(self, **options: Any) -> "Step":
        """As `Experiment.evaluate`, of the model of this step."""
        return self.experiment.evaluate(**{"checkpoint": self.model_dir, **options})

    def predict(self, images: Any, top_k: int = 5, **options: Any) -> list[list[dict[str, Any]]]:
        """As `Experiment.predict`, by the model of this step."""
        return self.experiment.predict(images, top_k, **{"checkpoint": self.model_dir, **options})

    def export(self, **options: Any) -> Any:
        """As `Experiment.export`, of the model of this step."""
        return self.experiment.export(**{"checkpoint": self.model_dir, **options})

    def push_to_hub(self, hub_model_id: str, **options: Any) -> Any:
        """As `Experiment.push_to_hub`, of the model of this step."""
        return self.experiment.push_to_hub(hub_model_id, **{"checkpoint": self.model_dir, **options})

    def __repr__(self) -> str:
        return f"<{self.result.headline()}>"

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


def _check_names(options: dict[str, Any]) -> None:
    """Refuse options that are neither ours nor fields of `TrainingArguments`."""
    from transformers import TrainingArguments

    known = (*flags(), TRAIN_BATCH_SIZE, *TrainingArguments.__dataclass_fields__)
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known)


def _plain(value: Any) -> Any:
    """Paths as text, as they come from the command line."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

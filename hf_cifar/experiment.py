"""The stages from Python: a model and a dataset, taken from probe to Hub.

    Experiment(model="resnet18", dataset="cifar10").probe().finetune().evaluate()

The command line runs the same stages through `run_stage`.
"""

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hf_cifar.config.aliases import meant, with_canonical_names
from hf_cifar.config.run_config import flags
from hf_cifar.config.signatures import takes_options
from hf_cifar.config.training_arguments import TRAIN_BATCH_SIZE
from hf_cifar.errors import InputError
from hf_cifar.run.finished import finished_html, finished_line
from hf_cifar.run.request import Request
from hf_cifar.run.resolve import request_for
from hf_cifar.run.result import StageResult
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.libraries import hushed
from hf_cifar.utils.packages import require_train
from hf_cifar.utils.progress import bars

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Imported when they are used: each brings along what it needs, and no more.
_RUNNERS = {
    "audit": ("hf_cifar.stages.audit", "run_audit"),
    "evaluate": ("hf_cifar.stages.evaluate", "run_evaluation"),
    "predict": ("hf_cifar.stages.predict", "run_prediction"),
    "compare": ("hf_cifar.stages.compare", "run_comparison"),
    "demo": ("hf_cifar.stages.demo", "run_demo"),
    "export": ("hf_cifar.stages.export", "run_export"),
    "push": ("hf_cifar.stages.push", "run_push"),
}
_TRAINING = ("hf_cifar.stages.train", "run_training")
_SEEDS = ("hf_cifar.stages.seeds", "run_seeds")
_DRY_RUN = ("hf_cifar.stages.dry_run", "run_dry")


class Result(Protocol):
    """What every stage returns."""

    @property
    def status(self) -> int:
        """Return the exit status of the command line."""

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output, as plain values."""


def import_stage(request: Request) -> Callable[[Request], Any]:
    """Import what the stage of a request needs, and return the function that runs it."""
    config = request.config
    training = _DRY_RUN if config.hub.dry_run else _SEEDS if config.seeds else _TRAINING
    module, name = _RUNNERS.get(config.stage, training)
    if config.stage == "predict":
        from hf_cifar.inference.network import import_network

        import_network(config.prediction.backend)
    run: Callable[[Request], Any] = getattr(import_module(module), name)
    return run


def run_stage(request: Request) -> Any:
    """Run the stage that a request asks for.

    Args:
        request: as `run.resolve.resolve` makes it.

    Returns:
        The result of the stage; of lpft, that of the fine-tuning.

    Raises:
        InputError: the request, or what it names, is wrong.
        TrainingError: training cannot continue.
        Interrupted: a signal came; `resume` continues from what is saved.
    """
    config = request.config
    run = import_stage(request)
    with bars(shown=config.shows_progress), hushed(reads_dataset=request.dataset is not None):
        result = run(request)
        if config.stages and config.hub.push_to_hub and not config.hub.dry_run:
            from hf_cifar.stages.push import push
            from hf_cifar.utils import processes

            if processes.is_main():
                push(result.folder.path, config.hub)
            processes.wait_for_all()
    return result


class Experiment:
    """A model on a dataset, and the folder that everything about it goes to.

    Each method runs a stage and returns a `Step`: its metrics and figures, and the methods of the next stages.

    Args:
        options: as on the command line, by their names without dashes, such as `model="resnet18"`,
            `dataset="cifar10"`, `output_dir="runs/a"`, `seed=1`; also fields of `TrainingArguments`. They apply to
            every stage in which they do something; what is given to a method applies to that stage alone.

    Raises:
        InputError: an option that does not exist or does not fit.
    """

    @takes_options()
    def __init__(self, **options: Any) -> None:
        _check_names(options)
        self.options = {name: _plain(value) for name, value in options.items()}
        first = "probe" if options.get("from_") is None else "finetune"
        self.folder = request_for(first, {}, self.options).folder
        self.options["output_dir"] = str(self.folder)

    def request(self, stage: str, **options: Any) -> Request:
        """Return what a stage would be asked to do.

        Raises:
            InputError: an option that does not exist or does not fit, or that does nothing in this stage.
        """
        _check_names(options)
        given = {name: _plain(value) for name, value in options.items()}
        return request_for(stage, given, self.options)

    @takes_options("audit")
    def audit(self, **options: Any) -> Any:
        """Look for duplicates, leaks between splits and doubtful labels in the dataset."""
        from hf_cifar.stages.preflight import check

        request = self.request("audit", **options)
        check(request)
        return run_stage(request)

    @takes_options("probe")
    def probe(self, **options: Any) -> "Step":
        """Train a head on the frozen backbone."""
        return self._run("probe", options)

    @takes_options("finetune")
    def finetune(self, **options: Any) -> "Step":
        """Fine-tune the backbone, from the probe where there is one."""
        return self._run("finetune", options)

    @takes_options("lpft")
    def lpft(self, **options: Any) -> "Step":
        """Probe, then fine-tune."""
        return self._run("lpft", options)

    @takes_options("evaluate")
    def evaluate(self, **options: Any) -> "Step":
        """Evaluate the last stage, or `checkpoint`, on a split: `split="validation"`, `dataset="DIR"`."""
        return self._run("evaluate", options)

    def predict(self, images: Any, top_k: int = 5, **options: Any) -> list[list[dict[str, Any]]]:
        """Classify images with the last stage's model, or `checkpoint`, as `pipeline` would.

        Args:
            images: one or more paths, or PIL images.
            top_k: labels per image.
            options: such as `checkpoint`, `backend`, `use_cpu`.

        Returns:
            For each image a list of `{"label": …, "score": …}`, the highest score first.
        """
        from hf_cifar.inference.predictor import Predictor

        request = self.request("predict", **options)
        config = request.config
        predictor = Predictor(request.checkpoint.full_name, use_cpu=config.use_cpu, backend=config.prediction.backend)
        return predictor.predict(images, top_k=top_k)

    @takes_options("export")
    def export(self, **options: Any) -> Any:
        """Export the last stage, or `checkpoint`, to a folder that opens anywhere, and check it."""
        return run_stage(self.request("export", **options))

    @takes_options("push")
    def push_to_hub(self, hub_model_id: str, **options: Any) -> Any:
        """Export the last stage, or `checkpoint`, and push it: `public=True`, `revision="BRANCH"`, `dry_run=True`."""
        return run_stage(self.request("push", hub_model_id=hub_model_id, **options))

    def _run(self, stage: str, options: dict[str, Any]) -> "Step":
        from hf_cifar.stages.preflight import check

        request = self.request(stage, **options)
        check(request)
        return Step(self, run_stage(request))

    def __repr__(self) -> str:
        return f"<Experiment in {finished_line(self.folder)}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the finished stages in a table."""
        return finished_html(self.folder)


class Step:
    """A finished stage of an `Experiment`.

    Attributes:
        experiment: that it belongs to.
        result: of the stage.
    """

    def __init__(self, experiment: Experiment, result: StageResult) -> None:
        self.experiment = experiment
        self.result = result

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the content of metrics.json."""
        return self.result.metrics.to_dict()

    @property
    def stage_metrics(self) -> StageMetrics:
        """Return the same as typed attributes."""
        return self.result.metrics

    @property
    def figures(self) -> dict[str, Any]:
        """Return the figures by name, as images that a notebook shows."""
        from PIL import Image

        return {name: Image.open(path) for name, path in self.result.figures.items()}

    @property
    def report(self) -> Path:
        """Return the path of the report, one page that opens offline."""
        return self.result.report

    @property
    def model_dir(self) -> Path:
        """Return the folder of the saved model, for `pipeline` and `from_pretrained`."""
        return self.result.model_dir

    @cached_property
    def _predictor(self) -> Any:
        from hf_cifar.inference.predictor import Predictor

        return Predictor(self.model_dir)

    @property
    def model(self) -> "PreTrainedModel":
        """Return the saved model, loaded on first use, in evaluation mode."""
        model: PreTrainedModel = self._predictor.model
        return model

    def pipeline(self, **options: Any) -> Any:
        """Return `transformers.pipeline("image-classification")` with the saved model.

        Args:
            options: of `pipeline`, such as `device=0`.
        """
        from transformers import pipeline

        predictor = self._predictor
        with hushed():
            parts = {"model": predictor.model, "image_processor": predictor.processor}
            return pipeline("image-classification", **parts, **options)

    @takes_options("finetune")
    def finetune(self, **options: Any) -> "Step":
        """Run `Experiment.finetune`."""
        return self.experiment.finetune(**options)

    @takes_options("evaluate")
    def evaluate(self, **options: Any) -> "Step":
        """Run `Experiment.evaluate` on the model of this step."""
        return self.experiment.evaluate(**{"checkpoint": self.model_dir, **options})

    def predict(self, images: Any, top_k: int = 5, **options: Any) -> list[list[dict[str, Any]]]:
        """Run `Experiment.predict` with the model of this step."""
        return self.experiment.predict(images, top_k, **{"checkpoint": self.model_dir, **options})

    @takes_options("export")
    def export(self, **options: Any) -> Any:
        """Run `Experiment.export` on the model of this step."""
        return self.experiment.export(**{"checkpoint": self.model_dir, **options})

    @takes_options("push")
    def push_to_hub(self, hub_model_id: str, **options: Any) -> Any:
        """Run `Experiment.push_to_hub` on the model of this step."""
        return self.experiment.push_to_hub(hub_model_id, **{"checkpoint": self.model_dir, **options})

    def __repr__(self) -> str:
        return f"<{self.result.headline()}>"

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


def _check_names(options: dict[str, Any]) -> None:
    """Refuse options that are neither fields of `RunConfig` nor of `TrainingArguments`."""
    require_train("Experiment")
    with hushed():
        from transformers import TrainingArguments

    known = (*flags(), TRAIN_BATCH_SIZE, *TrainingArguments.__dataclass_fields__)
    for name in with_canonical_names(options):
        if name not in known:
            near = meant(name, list(known), str)
            raise InputError(f"unknown option {name!r}: {near}known: {', '.join(known[:20])}, …")


def _plain(value: Any) -> Any:
    """Return paths as text, as they come from the command line."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

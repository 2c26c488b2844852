"""`--dry-run` of a training stage: what would be trained on what, how long that takes and how large it gets.

One batch is measured, on the hardware and with the options of the run. Nothing is written.
"""

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import set_seed

from hf_cifar.errors import InputError
from hf_cifar.evaluation.validation_metrics import validation_metrics
from hf_cifar.models.build import build_model
from hf_cifar.run.origins import StartKind, StartOrigin
from hf_cifar.run.request import Request
from hf_cifar.run.run_folder import RunFolder
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.wording import describe_weights
from hf_cifar.stages.preprocessing import fitted_processor
from hf_cifar.stages.training_data import TrainingData, load_training_data
from hf_cifar.training.finetune.arguments import refuse_long_warmup
from hf_cifar.training.finetune.finetune import Finetune
from hf_cifar.training.finetune.starting_point import Start, find_start
from hf_cifar.training.forecast import KEPT, StageForecast, forecast_finetune, forecast_probe
from hf_cifar.training.probe.probe import Probe
from hf_cifar.utils import processes
from hf_cifar.utils.formatting import duration, file_size
from hf_cifar.utils.labelled_lines import say_labelled
from hf_cifar.utils.random_state import seed_of_32_bits


@dataclass(frozen=True)
class DryRun:
    """What a training would be.

    Attributes:
        stage: that was asked for.
        output_dir: where it would be written.
        num_train, num_validation, num_test: images.
        model: what it would start from, in words.
        num_parameters: of the model.
        model_bytes: of its file, in float32.
        stages: what each would take, for one seed.
        num_runs: seeds.
    """

    stage: str
    output_dir: Path
    num_train: int
    num_validation: int
    num_test: int
    model: str
    num_parameters: int
    model_bytes: int
    stages: tuple[StageForecast, ...]
    num_runs: int

    @property
    def status(self) -> int:
        """Return the exit status of the command line."""
        return 0

    @property
    def seconds(self) -> float:
        """Return the expected time of the whole training."""
        return self.num_runs * sum(stage.seconds for stage in self.stages)

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        values = {**asdict(self), "output_dir": str(self.output_dir)}
        return {"stage": values.pop("stage"), "dry_run": True, **values, "seconds": self.seconds}


def run_dry(request: Request) -> DryRun:
    """Measure a batch of every stage that a request asks for, and say what the training would take.

    Raises:
        InputError: the request, or what it names, is wrong, as training would say.
    """
    config = request.config
    if processes.count() > 1:
        raise InputError("--dry-run measures one process: start it without torchrun or accelerate launch")
    with ExitStack() as stack:
        # A folder that is continued would be locked; in one that is in use nothing new can begin.
        if not request.adds_to_probe:
            RunFolder(request, stack)
        data = load_training_data(config)
        set_seed(seed_of_32_bits(config.seed))
        start = _start(request, data)
        stages = tuple(_forecast(stage, request, data, start) for stage in config.stages)
    state = start.model.state_dict().values()
    plan = DryRun(
        stage=config.stage,
        output_dir=config.folder,
        num_train=len(data.splits.train),
        num_validation=len(data.splits.validation),
        num_test=len(data.splits.test),
        model=describe_weights(start.weights),
        num_parameters=sum(parameter.numel() for parameter in start.model.parameters()),
        model_bytes=sum(value.numel() * value.element_size() for value in state),
        stages=stages,
        num_runs=max(1, len(config.seeds)),
    )
    _say(plan)
    return plan


def _start(request: Request, data: TrainingData) -> Start:
    """Build the network that the first stage starts from; after a probe its head counts as trained."""
    config, names = request.config, data.source.label_names
    if "probe" not in config.stages:
        return find_start(request, names)
    assert request.model is not None
    built = build_model(request.model, request.weights, config.model.image_size, names, config.seed)
    if built.probe_fault is not None:
        raise InputError(f"{built.probe_fault}: it cannot be probed; use --stage finetune")
    origin = StartOrigin(StartKind.PROBE)
    return Start(origin, built.origin, built.base_model, True, built.unused, built.processor, built.model)


def _forecast(stage: str, request: Request, data: TrainingData, start: Start) -> StageForecast:
    folder = StageFolder(request.folder / stage)
    processor = fitted_processor(start.processor, request.config, data.source, data.splits)
    if stage == "probe":
        return forecast_probe(Probe(request.config, start.model, processor, data.splits, folder))
    for parameter in start.model.parameters():  # which a probe has frozen
        parameter.requires_grad_(True)
    parts = data.splits.train, data.splits.validation
    tuned = Finetune(request.config, start, processor, *parts, data.source.label_names, folder, validation_metrics)
    refuse_long_warmup(tuned.arguments, len(data.splits.train))
    return forecast_finetune(tuned)


def _say(plan: DryRun) -> None:
    rows = [("model", f"{plan.model}: {plan.num_parameters:,} parameters, {file_size(plan.model_bytes)}")]
    for stage in plan.stages:
        kept = f"checkpoints of {file_size(stage.checkpoint_bytes)}, at most {KEPT} at a time"
        rate = f" at {stage.images_per_second:,.0f} images/s" if stage.images else ""
        if stage.epochs is None and not stage.images:
            words = f"the features of every image are cached; {kept}"
        elif stage.epochs is None:
            words = f"{stage.images:,} images once through the backbone{rate}: {duration(stage.seconds)}; {kept}"
        else:
            words = (
                f"{stage.epochs:g} epochs of {stage.images:,} images{rate}: {duration(stage.seconds_per_epoch)} an "
                f"epoch, {duration(stage.seconds)} in all; {kept}"
            )
        rows.append((stage.stage, words))
    runs = f"{plan.num_runs} seeds, " if plan.num_runs > 1 else ""
    rows.append(("in all", f"{runs}about {duration(plan.seconds)}, by a measured batch, into {plan.output_dir}"))
    rows.append(("dry run", "nothing was trained or written: leave --dry-run out to train"))
    say_labelled(rows, "bold green")

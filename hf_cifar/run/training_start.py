"""What a training stage starts from, and the data that this brings."""

from pathlib import Path

from hf_cifar.config.layers import Layer, text_of, value_in
from hf_cifar.config.locate import DEFAULT_WEIGHTS, Location, locate_model, locate_start, locate_weights
from hf_cifar.config.options.model import ModelConfig
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError
from hf_cifar.run.origins import StartKind
from hf_cifar.run.recorded_run import RecordedRun
from hf_cifar.run.stage_folder import StageFolder


def adds_to_probe(stage: str, folder: Path, from_: str | None) -> bool:
    """Return whether a run fine-tunes the probe that its folder holds already."""
    return stage == "finetune" and from_ is None and StageFolder(folder / "probe").metrics.is_file()


def start_of(asked: Layer, stage: str, folder: Path, adds: bool) -> tuple[StartKind, Location, Location | None]:
    """Locate what a training stage starts from: what --from names, this run's probe, or the pretrained model."""
    from_ = value_in(asked, "finetune", "from_")
    if from_ is not None:
        if "probe" in STAGES[stage]:
            raise InputError(
                f"--from does nothing with --stage {stage}, which starts with a probe: use --stage finetune"
            )
        if value_in(asked, "model", "weights") is not None:
            raise InputError("--weights with --from: the weights are those of --from; leave one of them out")
        return StartKind.CHECKPOINT, locate_start(text_of("from_", from_)), None
    if adds:
        return StartKind.PROBE, locate_start(str(folder / "probe")), None
    name = value_in(asked, "model", "model")
    model = locate_model(ModelConfig.model if name is None else text_of("model", name))
    named = value_in(asked, "model", "weights")
    if named is None and model.kind == "torchvision":
        named = DEFAULT_WEIGHTS
    weights = locate_weights(text_of("weights", named)) if named is not None else None
    return StartKind.PRETRAINED, model, weights


def data_of_start(run: RecordedRun | None, asked: Layer) -> Layer:
    """Return the data of the run that `--from` names, split as it split them; nothing where a dataset is named."""
    if run is None or value_in(asked, "data", "dataset") is not None:
        return {}
    return {"data": {**run.config.to_dict()["data"], "split_seed": run.config.split_seed}}

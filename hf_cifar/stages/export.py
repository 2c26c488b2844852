"""`--stage export`: a checked folder that opens anywhere."""

from pathlib import Path

from hf_cifar.config.locate import refuse_missing_path, saved_model_in
from hf_cifar.config.options.hub import HubConfig
from hf_cifar.errors import InputError
from hf_cifar.hub.additions import Additions
from hf_cifar.hub.export import CARD, ExportResult, Trained, export, read_exported_metrics, trained_stage
from hf_cifar.run.request import Request
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.stages.forms import additions_asked_for
from hf_cifar.utils import processes
from hf_cifar.utils.network import is_hub_id
from hf_cifar.utils.progress import say


def run_export(request: Request) -> ExportResult:
    """Export the model that `--checkpoint` names, or else the last stage of `--output-dir`.

    Raises:
        InputError: there is no such model, its stage is not finished, or torchrun started several processes; or
            something is missing that forms beside the native one need.
        HubError: the folder did not pass the check; it is removed.
    """
    refuse_several_processes("export")
    trained = find_trained(request)
    with additions_asked_for(trained, request) as additions:
        return export_with(trained, request.config.hub, additions)


def export_with(
    trained: Trained, hub: HubConfig, additions: Additions, *, trust_earlier_check: bool = False
) -> ExportResult:
    """Export a model with other forms of it, and show them in the report of its stage.

    Args:
        trained, hub, additions, trust_earlier_check: as of `hub.export.export`.

    Raises:
        HubError: the folder did not pass the check; it is removed.
    """
    if trained.stage is None and additions.made_from:
        say("note: the model belongs to no run, so that the card stays as it is: it does not tell of what is exported")
    earlier = read_exported_metrics(trained)
    result = export(trained, hub, trust_earlier_check, additions)
    metrics = trained.stage.read_metrics() if trained.stage else None
    shown = (earlier.formats, earlier.head_divided_by) if earlier else (None, None)
    if trained.stage is not None and metrics is not None and shown != (additions.formats, additions.temperature):
        from hf_cifar.evaluation.report.report import write_report  # what draws it, for an export that changes it

        write_report(trained.stage, additions.applied_to(metrics))
    return result


def refuse_several_processes(stage: str) -> None:
    """Refuse a start by torchrun: several processes would write the same folder.

    Raises:
        InputError: this is one of several processes.
    """
    if processes.count() > 1:
        raise InputError(f"--stage {stage} runs in one process: start it without torchrun")


def find_trained(request: Request) -> Trained:
    """Return what `--checkpoint` names: a run (its last stage), a stage, or a model's folder; default: `--output-dir`.

    The export of a stage is written into the stage, that of another model into `--output-dir`, both as `export`.

    Raises:
        InputError: nothing is there, or the stage is not finished.
    """
    config = request.config
    option = "--output-dir" if config.checkpoint is None else "--checkpoint"
    name = str(config.folder) if config.checkpoint is None else config.checkpoint
    path = Path(name).expanduser()
    if not path.is_dir():
        refuse_missing_path(option, name, "model")
        if is_hub_id(name.partition("@")[0]):
            raise InputError(f"{option} {name} is not a folder: a model that is on the Hub already needs no export")
        raise InputError(f"{option} {name}: no such folder; --checkpoint takes a run, a stage, or a model's folder")
    model = saved_model_in(path)
    if model is None:
        raise InputError(f"{option} {name} holds no saved model: give a run, one of its stages, or a model's folder")
    model = model if model.name else model.resolve()
    stage = StageFolder(model.parent)
    if model.name == "model" and (stage.metrics.is_file() or stage.checkpoints.is_dir()):
        return trained_stage(model.parent)
    if not (model / CARD).is_file():
        raise InputError(f"{model} belongs to no run and has no {CARD}: write one first")
    return Trained(model, None, config.folder / "export")

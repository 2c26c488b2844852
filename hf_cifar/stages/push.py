"""`--stage push`: export a model and push it to a repository of the Hub."""

import shlex
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from hf_cifar.config.options.export import ExportConfig
from hf_cifar.config.options.hub import HubConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.access import check_access, check_target, find_token
from hf_cifar.hub.additions import Additions
from hf_cifar.hub.export import Trained, trained_stage
from hf_cifar.hub.push import PushResult, push_exported
from hf_cifar.hub.space.build import network_of, steps_of
from hf_cifar.run.request import Request
from hf_cifar.stages.export import export_with, find_trained, refuse_several_processes
from hf_cifar.stages.forms import additions_asked_for, additions_of_last_export


def run_push(request: Request) -> PushResult:
    """Push what `--checkpoint` names, or else the last stage of `--output-dir`, to `--hub-model-id`.

    With neither `--formats` nor `--calibrate` the forms of the last export are pushed.

    Raises:
        InputError: the request is wrong, such as a token without write access.
        HubError: the Hub, or the connection to it; or the exported folder failed its check.
    """
    refuse_several_processes("push")
    asked = request.config.export
    as_exported = not asked.formats and asked.calibrate is None
    return _export_and_push(find_trained(request), request.config.hub, None if as_exported else request)


def push(stage_folder: Path, hub: HubConfig) -> PushResult:
    """Export a finished stage and push it.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`.
        hub: repository, branch, and the source of the token.

    Raises:
        InputError, HubError: as `run_push`; the line ends with the command that repeats the push.
    """
    return _export_and_push(trained_stage(stage_folder), hub, None)


def _export_and_push(trained: Trained, hub: HubConfig, request: Request | None) -> PushResult:
    """Export and push; without a request in the forms of the last export."""
    try:
        name = check_target(hub)
        if hub.space == "static":
            _refuse_without_page(trained, request)
        token = find_token(hub) if hub.dry_run else check_access(hub)
        before = trained.card
        with _additions(trained, request) as additions:
            export_with(trained, hub, additions, trust_earlier_check=True)
        if hub.space == "static":
            network_of(trained)
        pushed = push_exported(trained, hub, name, token, before)
        if hub.space is None:
            return pushed
        from hf_cifar.hub.space.push import push_space

        return replace(pushed, space=push_space(trained, hub, hub.space, name, token))
    except (InputError, HubError) as error:
        retry = _command(trained, hub, request)
        raise type(error)(f"{error}; nothing local is lost, retry with: {retry}") from error


def _additions(trained: Trained, request: Request | None) -> AbstractContextManager[Additions]:
    if request is None:
        return nullcontext(additions_of_last_export(trained))
    return additions_asked_for(trained, request)


def _refuse_without_page(trained: Trained, request: Request | None) -> None:
    """Refuse, before anything is made or sent, a Space that could have no page."""
    if request is None or not set(request.config.export.variants) & {"onnx", "onnx-q8"}:
        network_of(trained)
    steps_of(trained.model)


def _command(trained: Trained, hub: HubConfig, request: Request | None) -> str:
    """Return the command that repeats the push."""
    source = trained.stage.path if trained.stage else trained.model
    words = ["hf-cifar", "--stage", "push", "--checkpoint", str(source)]
    words += ["--hub-model-id", hub.hub_model_id or "USER/NAME"]
    for name, value in (("--revision", hub.revision), ("--license", hub.license)):
        words += [name, value] if value else []
    words += ["--hub-token-file", hub.hub_token_file] if hub.hub_token_file else []
    words += ["--space", hub.space] if hub.space else []
    words += ["--public"] if hub.public else []
    words += _of_forms(request) if request is not None else []
    return shlex.join(words)


def _of_forms(request: Request) -> list[str]:
    """Return the options that say in which forms the model is exported."""
    asked, defaults = request.config.export, ExportConfig()
    words = ["--formats", ",".join(asked.formats)] if asked.formats else []
    words += [] if asked.calibrate is None else ["--calibrate" if asked.calibrate else "--no-calibrate"]
    if asked.max_accuracy_drop != defaults.max_accuracy_drop:
        words += ["--max-accuracy-drop", f"{asked.max_accuracy_drop:g}"]
    return words + (["--dataset", request.config.data.dataset] if asked.variants and request.trained_by is None else [])

"""`--stage push`: export a model and push it to a repository of the Hub."""

import shlex
from dataclasses import replace
from pathlib import Path

from hf_cifar.config.parts import HubConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.access import check_access, check_target, find_token
from hf_cifar.hub.export import Trained, export, trained_stage
from hf_cifar.hub.push import PushResult, push_exported
from hf_cifar.run.resolve import Request
from hf_cifar.stages.export import find_trained, refuse_several_processes


def run_push(request: Request) -> PushResult:
    """Push what `--checkpoint` names, or else the last stage of `--output-dir`, to `--hub-model-id`.

    Raises:
        InputError: the request is wrong, such as a token without write access.
        HubError: the Hub, or the connection to it; or the exported folder failed its check.
    """
    refuse_several_processes("push")
    return _export_and_push(find_trained(request), request.config.hub)


def push(stage_folder: Path, hub: HubConfig) -> PushResult:
    """Export a finished stage and push it.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`.
        hub: repository, branch, and the source of the token.

    Raises:
        InputError, HubError: as `run_push`; the line ends with the command that repeats the push.
    """
    return _export_and_push(trained_stage(stage_folder), hub)


def _export_and_push(trained: Trained, hub: HubConfig) -> PushResult:
    try:
        name = check_target(hub)
        if hub.space == "static":
            _refuse_without_page(trained)
        token = find_token(hub) if hub.dry_run else check_access(hub)
        before = trained.card
        export(trained, hub, trust_earlier_check=True)
        pushed = push_exported(trained, hub, name, token, before)
        if hub.space is None:
            return pushed
        from hf_cifar.hub.space.push import push_space

        return replace(pushed, space=push_space(trained, hub, hub.space, name, token))
    except (InputError, HubError) as error:
        retry = _command(trained, hub)
        raise type(error)(f"{error}; nothing local is lost, retry with: {retry}") from error


def _refuse_without_page(trained: Trained) -> None:
    """Refuse, before anything is sent, a Space that could have no page."""
    from hf_cifar.hub.space.build import network_of, steps_of

    network_of(trained)
    steps_of(trained.model)


def _command(trained: Trained, hub: HubConfig) -> str:
    """Return the command that repeats the push."""
    source = trained.stage.path if trained.stage else trained.model
    words = ["hf-cifar", "--stage", "push", "--checkpoint", str(source)]
    words += ["--hub-model-id", hub.hub_model_id or "USER/NAME"]
    for name, value in (("--revision", hub.revision), ("--license", hub.license)):
        words += [name, value] if value else []
    words += ["--hub-token-file", hub.hub_token_file] if hub.hub_token_file else []
    words += ["--space", hub.space] if hub.space else []
    words += ["--public"] if hub.public else []
    return shlex.join(words)

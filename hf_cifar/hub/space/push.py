"""Push the Space of a model next to it, in one commit."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.config.options.hub import HubConfig
from hf_cifar.errors import HubError
from hf_cifar.hub import remote
from hf_cifar.hub.access import api
from hf_cifar.hub.export import CARD, Trained
from hf_cifar.hub.failures import quiet_client, retried
from hf_cifar.hub.remote import MAIN, SPACE, TITLE, Change, Remote
from hf_cifar.hub.space.build import write_space
from hf_cifar.utils.network import hub_endpoint, hub_reachable
from hf_cifar.utils.progress import say

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True)
class SpaceResult:
    """The result of a Space's push.

    Attributes:
        url: of its page.
        commit: the newest one; None after a dry run without the Hub.
        changed: whether there is a new commit.
        files: that it consists of.
    """

    url: str
    commit: str | None
    changed: bool
    files: int

    def summary(self) -> dict[str, Any]:
        """Return it as a part of the last line of standard output."""
        return {"url": self.url, "commit": self.commit, "changed": self.changed, "files": self.files}


def push_space(trained: Trained, hub: HubConfig, sdk: str, name: str, token: str | None) -> SpaceResult:
    """Push the page of an exported model to the Space of the same name; retried while it may still succeed.

    A Space that exists keeps its visibility, files that others put there, and a card that others edited.

    Args:
        trained: the model; it is exported, for a static page with a network as ONNX.
        hub: visibility, license, and whether it is a dry run.
        sdk: static or gradio.
        name: of the model's repository and of the Space, USER/NAME.
        token: with the right to write; a dry run may do without.

    Raises:
        InputError: the request is wrong, or there is no network as ONNX.
        HubError: the Hub, or the connection to it.
    """
    with quiet_client(), tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        write_space(folder, trained, sdk, name, hub.license)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): path for path in paths}
        url = f"{hub_endpoint().rstrip('/')}/spaces/{name}"
        if hub.dry_run:
            say(f"dry run: {len(files)} files of the Space {url} were not sent")
            now = remote.read_remote(api(token), name, MAIN, SPACE) if hub_reachable() else None
            return SpaceResult(url, now.commit if now else None, False, len(files))
        return retried(lambda: _send(api(token), name, files, hub, sdk, url), name)


def _send(client: "HfApi", name: str, files: dict[str, Path], hub: HubConfig, sdk: str, url: str) -> SpaceResult:
    """Commit what is new on top of the Space."""
    now = remote.read_remote(client, name, MAIN, SPACE)
    if now is None:
        remote.create(client, name, not hub.public, SPACE, sdk)
        say(f"created the {'public' if hub.public else 'private'} Space {name}")
        now = remote.read_remote(client, name, MAIN, SPACE)
        if now is None:
            raise HubError(f"the Hub created the Space {name}, but does not find it")
    news = [change for change in _changes(client, name, files, now) if change.sent]
    if not news:
        say(f"the Space {url} is up to date: nothing was sent")
        return SpaceResult(url, now.commit, False, len(files))
    commit = _commit(client, name, files, news, now)
    say(f"the page is at {url}, commit {commit[:8]}")
    return SpaceResult(url, commit, True, len(files))


def _changes(client: "HfApi", name: str, files: dict[str, Path], now: Remote) -> list[Change]:
    """Return what the push does to each file; a card that somebody wrote stays."""
    changes = remote.changes(files, now, remote.leftovers(client, name, now, files, SPACE))
    if CARD not in now.files:
        return changes
    (info,) = client.get_paths_info(name, [CARD], expand=True, revision=now.commit, repo_type=SPACE)
    theirs = info.last_commit is not None and not info.last_commit.title.startswith((TITLE, "initial commit"))
    if theirs:
        say(f"the README.md of the Space {name} was edited on the Hub and stays")
    return [change for change in changes if not (theirs and change.path == CARD)]


def _commit(client: "HfApi", name: str, files: dict[str, Path], news: list[Change], now: Remote) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    operations = [
        CommitOperationDelete(change.path, is_folder=False)
        if change.what == "gone"
        else CommitOperationAdd(change.path, str(files[change.path]))
        for change in news
    ]
    commit = client.create_commit(
        name, operations, commit_message=f"{TITLE}page of the model", parent_commit=now.commit, repo_type=SPACE
    )
    return str(commit.oid)

"""Push an exported folder to a repository of the Hub, in one commit."""

import tempfile
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.config.options.hub import HubConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub import remote
from hf_cifar.hub.access import api
from hf_cifar.hub.export import CARD, Trained, read_card
from hf_cifar.hub.export_state import ExportState, text_digest
from hf_cifar.hub.failures import give_up_xet, quiet_client, retried
from hf_cifar.hub.remote import MAIN, TITLE, Change, Remote
from hf_cifar.utils.files import write_text
from hf_cifar.utils.formatting import file_size, percent
from hf_cifar.utils.network import hub_endpoint, hub_reachable
from hf_cifar.utils.progress import say

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from hf_cifar.hub.space.push import SpaceResult

TEXT_BYTES = 10 * 2**20  # larger files are weights
DESCRIPTION = "Model, image processor, card, figures and metrics, as measured by hf_cifar."


@dataclass(frozen=True)
class PushResult:
    """The result of a push.

    Attributes:
        export_dir: the folder that was pushed.
        hub_model_id: the repository.
        revision: the branch.
        url: of its page.
        commit: the newest commit of the branch; None after a dry run without the Hub.
        private: whether the repository is private; None after a dry run without the Hub.
        changes: one for each file.
        changed: whether there is a new commit.
        dry_run: whether nothing was to be sent.
        space: the page next to the model, where one was asked for.
    """

    export_dir: Path
    hub_model_id: str
    revision: str
    url: str
    commit: str | None
    private: bool | None
    changes: list[Change]
    changed: bool
    dry_run: bool
    space: "SpaceResult | None" = None

    @property
    def status(self) -> int:
        """Return the exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        files = [change for change in self.changes if change.what != "gone"]
        values = {
            "stage": "push",
            "export_dir": str(self.export_dir),
            "hub_model_id": self.hub_model_id,
            "url": self.url,
            "commit": self.commit,
            "revision": self.revision,
            "private": self.private,
            "files": len(files),
            "bytes": sum(change.size for change in files),
            "changed": self.changed,
            **({"space": self.space.summary()} if self.space else {}),
        }
        return {**values, "dry_run": [asdict(change) for change in self.changes]} if self.dry_run else values


def push_exported(trained: Trained, hub: HubConfig, name: str, token: str | None, before: str | None) -> PushResult:
    """Push an exported model in one commit, or in none where nothing is new; retried while it may still succeed.

    Args:
        trained: the model; it is exported.
        hub: branch and visibility, and whether it is a dry run.
        name: of the repository, USER/NAME.
        token: with the right to write; a dry run may do without.
        before: the card of an earlier export.

    Raises:
        InputError: the request is wrong.
        HubError: the Hub, or the connection to it.
    """
    with quiet_client(), tempfile.TemporaryDirectory() as aside:
        push = _Push(trained, hub, name, token, before, Path(aside))
        return retried(push.dry_run if hub.dry_run else push.send, name)


class _Push:
    """One push, which can be retried from the start; arguments as of `push_exported`, and an empty folder."""

    def __init__(
        self, trained: Trained, hub: HubConfig, name: str, token: str | None, before: str | None, aside: Path
    ) -> None:
        self.trained, self.folder, self.hub, self.name, self.token = trained, trained.export, hub, name, token
        self.before = before
        self.title = TITLE + _title(trained)
        # The merged card; the one in the folder is left alone until this one is on the Hub.
        self.card = aside / CARD
        self.branch = hub.revision or MAIN
        self.target = f"{name}@{self.branch}"
        self.state = ExportState.read(self.folder)
        self.sent = False
        self._refuse_token_in_files()

    @property
    def files(self) -> dict[str, Path]:
        """Return path in the repository -> local file."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in paths} | {CARD: self.card}

    def dry_run(self) -> PushResult:
        """Return what would be sent, compared with the Hub where it can be reached."""
        online = hub_reachable()
        client = api(self.token)
        now = remote.read_remote(client, self.name, self.branch) if online else None
        self._merge_card(now)
        changes = self._changes(client, now)
        for change in changes:
            say(f"{change.what:8} {change.size:>13,} bytes  {change.path}")
        reason = "it does not exist yet, or the token cannot see it" if online else "the Hub cannot be reached"
        say(f"dry run: nothing was sent to {self.target}" + ("" if now else f" ({reason})"))
        return self._result(now.commit if now else None, now.private if now else None, changes, changed=False)

    def send(self) -> PushResult:
        """Commit everything that is new on top of the branch."""
        client = api(self.token)
        now = remote.read_remote(client, self.name, self.branch)
        if now is None:
            remote.create(client, self.name, private=not self.hub.public)
            say(f"created the {'public' if self.hub.public else 'private'} repository {self.name}")
            now = remote.read_remote(client, self.name, self.branch)
            if now is None:
                raise HubError(f"the Hub created {self.name}, but does not find it")
        elif now.private == self.hub.public and not self.sent:
            say(f"{self.name} exists already and stays {'private' if now.private else 'public'}")
        if not now.branch:
            client.create_branch(self.name, branch=self.branch, exist_ok=True)
            now = replace(now, branch=True)
        self._merge_card(now)
        changes = self._changes(client, now)
        news = [change for change in changes if change.sent]
        if not news:
            # A commit whose response was lost may exist although this attempt sent nothing.
            changed = self.sent and remote.is_ours(client, self.name, now.commit)
            say(f"{self.target} is {'complete' if changed else 'up to date: nothing was sent'}")
            return self._finish(now.commit, now, changes, changed)
        self._announce(news)
        self.sent = True
        commit = self._commit(client, now, news)
        say(f"pushed to {self._url}, commit {commit[:8]}")
        return self._finish(commit, now, changes, changed=True)

    def _commit(self, client: "HfApi", now: Remote, news: list[Change]) -> str:
        """Upload what is new, then commit it; after a failure the branch is as it was."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        files = self.files
        operations = [
            CommitOperationDelete(change.path, is_folder=False)
            if change.what == "gone"
            else CommitOperationAdd(change.path, str(files[change.path]))
            for change in news
        ]
        try:
            with warnings.catch_warnings(record=True) as messages:
                commit = client.create_commit(
                    self.name,
                    operations,
                    commit_message=self.title,
                    commit_description=DESCRIPTION,
                    revision=self.branch,
                    parent_commit=now.commit,
                )
        except (OSError, RuntimeError) as error:
            if not give_up_xet(error):
                raise
            say("upload by Xet failed: uploading by HTTP")
            return self._commit(client, now, news)
        for message in messages:
            say(f"warning: {' '.join(str(message.message).split())}")
        return str(commit.oid)

    def _announce(self, news: list[Change]) -> None:
        size = sum(change.size for change in news)
        gone = [change.path for change in news if change.what == "gone"]
        say(f"sending {len(news) - len(gone)} files, {file_size(size)}, to {self.target}")
        if size:
            largest = max(news, key=lambda change: change.size)
            say(f"the largest is {largest.path}, {file_size(largest.size)}")
        if gone:
            say(f"removing files of an earlier push: {', '.join(gone)}")

    def _merge_card(self, now: Remote | None) -> None:
        """Write the card of the folder, merged with the one on the Hub."""
        from hf_cifar.hub.card.merge import merge_card

        local = read_card(self.folder) or ""
        write_text(self.card, local)
        existing = remote.read_card(self.name, now, self.token) if now else None
        if existing in (None, local, self.before) or text_digest(existing) == self.state.pushed.get(self.target):
            return
        if self.trained.stage is None or self.state.edited:
            own = (self.folder if self.trained.stage else self.trained.model) / CARD
            raise InputError(
                f"the card was edited both on the Hub ({self._url}) and in {own}: replace the local text by the Hub's, "
                "or remove the file if the package wrote it; then push, and repeat your edit"
            )
        merged = merge_card(existing, local)
        write_text(self.card, merged)
        if merged != local:
            say("edits of the card on the Hub are kept")

    def _changes(self, client: "HfApi", now: Remote | None) -> list[Change]:
        files = self.files
        return remote.changes(files, now, remote.leftovers(client, self.name, now, files) if now else [])

    def _finish(self, commit: str, now: Remote, changes: list[Change], changed: bool) -> PushResult:
        """Remember what is on the Hub now."""
        card = self.card.read_text(encoding="utf-8")
        write_text(self.folder / CARD, card)
        self.state.card = self.state.pushed[self.target] = text_digest(card)
        self.state.edited = False
        self.state.write(self.folder)
        return self._result(commit, now.private, changes, changed)

    def _result(self, commit: str | None, private: bool | None, changes: list[Change], changed: bool) -> PushResult:
        return PushResult(
            self.folder, self.name, self.branch, self._url, commit, private, changes, changed, self.hub.dry_run
        )

    @property
    def _url(self) -> str:
        place = "" if self.branch == MAIN else f"/tree/{self.branch}"
        return f"{hub_endpoint().rstrip('/')}/{self.name}{place}"

    def _refuse_token_in_files(self) -> None:
        """Refuse to push a file, such as one that was added by hand, that holds the token."""
        if self.token is None:
            return
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.stat().st_size < TEXT_BYTES and self.token.encode() in path.read_bytes():
                raise InputError(f"{path} holds the Hub token: remove it; nothing was sent")


def _title(trained: Trained) -> str:
    """Return the end of the commit's title."""
    metrics = trained.stage.read_metrics() if trained.stage else None
    if metrics is None:
        return "model"
    return f"{metrics.stage}, test accuracy {percent(metrics.test.accuracy, metrics.test.num_examples)}"

"""The push stage: an exported folder to a repository of the Hub, in one commit."""

import shlex
import tempfile
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.config.parts import HubConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub import remote as hub_side
from hf_cifar.hub.access import api, check_access, check_target, find_token
from hf_cifar.hub.export_state import Record, digest
from hf_cifar.hub.failures import a_quiet_client, give_up_xet, patiently
from hf_cifar.hub.remote import MAIN, TITLE, Change, Remote
from hf_cifar.stages.export import CARD, Trained, card_text, export, find_trained, megabytes, trained_stage
from hf_cifar.utils.files import write_text
from hf_cifar.utils.network import hub_endpoint, hub_reachable
from hf_cifar.utils.progress import say

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TEXT_BYTES = 10 * 2**20  # larger files are weights
DESCRIPTION = "Model, image processor, card, figures and metrics, as hf_cifar measured them."


@dataclass(frozen=True)
class PushResult:
    """What a push has come to.

    Attributes:
        export_dir: what was pushed.
        hub_model_id: where to.
        revision: the branch.
        url: its page.
        commit: the newest commit of the branch; None after a dry run without the Hub.
        private: whether only the owner sees it; None after a dry run without the Hub.
        changes: what each file needed.
        changed: whether there is a new commit.
        dry_run: whether nothing was to be sent.
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

    @property
    def status(self) -> int:
        """The exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""
        here = [change for change in self.changes if change.what != "gone"]
        values = {
            "stage": "push",
            "export_dir": str(self.export_dir),
            "hub_model_id": self.hub_model_id,
            "url": self.url,
            "commit": self.commit,
            "revision": self.revision,
            "private": self.private,
            "files": len(here),
            "bytes": sum(change.size for change in here),
            "changed": self.changed,
        }
        return {**values, "dry_run": [asdict(change) for change in self.changes]} if self.dry_run else values


def run_push(config: RunConfig) -> PushResult:
    """Push what `--checkpoint` names, or else the last stage of `--output-dir`, to `--hub-model-id`.

    Raises:
        InputError: the request is wrong, such as a token without the right to write.
        HubError: the Hub, or the way to it; or the exported folder did not pass its check.
    """
    return _push(find_trained(config), config.hub)


def push(stage_folder: Path, hub: HubConfig) -> PushResult:
    """Export a stage that is done, and push it in one commit, or in none where nothing is new.

    Args:
        stage_folder: `runs/NAME/probe` or `runs/NAME/finetune`.
        hub: repository, branch, and how to get at the token.

    Raises:
        InputError, HubError: as `run_push`; the line ends with the command that repeats the push.
    """
    return _push(trained_stage(stage_folder), hub)


def command(trained: Trained, hub: HubConfig) -> str:
    """What a person types to push again."""
    source = trained.stage.path if trained.stage else trained.model
    parts = [
        "hf-cifar",
        "--stage",
        "push",
        "--checkpoint",
        str(source),
        "--hub-model-id",
        hub.hub_model_id or "USER/NAME",
    ]
    for name, value in (("--revision", hub.revision), ("--license", hub.license)):
        parts += [name, value] if value else []
    parts += ["--hub-token-file", hub.hub_token_file] if hub.hub_token_file else []
    parts += ["--public"] if hub.public else []
    return shlex.join(parts)


def _push(trained: Trained, hub: HubConfig) -> PushResult:
    """Check, export and send; every error tells how to repeat it."""
    try:
        name = check_target(hub)
        token = find_token(hub) if hub.dry_run else check_access(hub)
        before = card_text(trained.export)
        export(trained, hub, trust_earlier_check=True)
        with a_quiet_client(), tempfile.TemporaryDirectory() as aside:
            work = _Push(trained, hub, name, token, before, Path(aside))
            return patiently(work.dry_run if hub.dry_run else work.send, name)
    except (InputError, HubError) as error:
        raise type(error)(f"{error}; everything is still on disk, to repeat: {command(trained, hub)}") from error


class _Push:
    """One push, which can be tried again from the start until it is through.

    Args:
        trained: what is pushed; it is exported.
        hub: where to.
        name: of the repository.
        token: to write with; a dry run may do without.
        before: the card of an earlier export.
        aside: an empty folder.
    """

    def __init__(
        self, trained: Trained, hub: HubConfig, name: str, token: str | None, before: str | None, aside: Path
    ) -> None:
        self.trained, self.folder, self.hub, self.name, self.token = trained, trained.export, hub, name, token
        self.before = before
        self.title = TITLE + _title(trained)
        # The card is put together here; the one in the folder stays as it is until this one is on the Hub.
        self.card = aside / CARD
        self.branch = hub.revision or MAIN
        self.target = f"{name}@{self.branch}"
        self.record = Record.of(self.folder)
        self.sent = False
        self._refuse_the_token_in_files()

    @property
    def files(self) -> dict[str, Path]:
        """Path in the repository -> file here."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in paths} | {CARD: self.card}

    def dry_run(self) -> PushResult:
        """What would be sent, as far as the Hub can be asked."""
        there = hub_reachable()
        client = api(self.token)
        now = hub_side.look(client, self.name, self.branch) if there else None
        self._put_card_together(now)
        found = self._changes(client, now)
        for change in found:
            say(f"{change.what:8} {change.size:>13,} bytes  {change.path}")
        known = "it is not there yet, or the token may not see it" if there else "the Hub cannot be reached"
        say(f"dry run: nothing is sent to {self.target}" + ("" if now else f" ({known})"))
        return self._result(now.commit if now else None, now.private if now else None, found, changed=False)

    def send(self) -> PushResult:
        """Everything that is new, in one commit on top of what is there now."""
        client = api(self.token)
        now = hub_side.look(client, self.name, self.branch)
        if now is None:
            hub_side.create(client, self.name, private=not self.hub.public)
            say(f"made {'public' if self.hub.public else 'private'} repository {self.name}")
            now = hub_side.look(client, self.name, self.branch)
            if now is None:
                raise HubError(f"the Hub made {self.name}, and does not show it")
        elif now.private == self.hub.public and not self.sent:
            say(f"{self.name} is there already, and stays {'private' if now.private else 'public'}")
        if not now.branch:
            client.create_branch(self.name, branch=self.branch, exist_ok=True)
            now = replace(now, branch=True)
        self._put_card_together(now)
        found = self._changes(client, now)
        news = [change for change in found if change.sent]
        if not news:
            # A commit whose answer was lost may be there although this try sent nothing.
            changed = self.sent and hub_side.is_ours(client, self.name, now.commit)
            say(f"{self.target} {'has it all' if changed else 'has all of it already: nothing is sent'}")
            return self._done(now.commit, now, found, changed)
        self._announce(news)
        self.sent = True
        commit = self._commit(client, now, news)
        say(f"pushed: {self._url}, commit {commit[:8]}")
        return self._done(commit, now, found, changed=True)

    def _commit(self, client: "HfApi", now: Remote, news: list[Change]) -> str:
        """Upload what is new, then commit it; a failure before the end leaves the branch as it was."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        files = self.files
        operations = [
            CommitOperationDelete(change.path, is_folder=False)
            if change.what == "gone"
            else CommitOperationAdd(change.path, str(files[change.path]))
            for change in news
        ]
        try:
            with warnings.catch_warnings(record=True) as remarks:
                made = client.create_commit(
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
            say("the Hub's Xet storage does not take the files: going on without it")
            return self._commit(client, now, news)
        for remark in remarks:
            say(f"warning: {' '.join(str(remark.message).split())}")
        return str(made.oid)

    def _announce(self, news: list[Change]) -> None:
        size = sum(change.size for change in news)
        gone = [change.path for change in news if change.what == "gone"]
        say(f"sending {len(news) - len(gone)} files, {megabytes(size)}, to {self.target}")
        if size:
            largest = max(news, key=lambda change: change.size)
            say(f"the largest is {largest.path}, {megabytes(largest.size)}")
        if gone:
            say(f"removing what an earlier push left there: {', '.join(gone)}")

    def _put_card_together(self, now: Remote | None) -> None:
        """The card of the folder, with what a person wrote in the one on the Hub."""
        from hf_cifar.hub.card import merge_card

        mine = card_text(self.folder) or ""
        write_text(self.card, mine)
        there = hub_side.card_of(self.name, now, self.token) if now else None
        if there in (None, mine, self.before) or digest(there) == self.record.pushed.get(self.target):
            return
        if self.trained.stage is None or self.record.edited:
            own = (self.folder if self.trained.stage else self.trained.model) / CARD
            raise InputError(
                f"the card was edited on the Hub ({self._url}), and {own} was edited too: put the Hub's text there, "
                "or remove the file where it can be written anew; then push, and edit it once more"
            )
        merged = merge_card(there, mine)
        write_text(self.card, merged)
        if merged != mine:
            say("the card on the Hub keeps what was written there by hand")

    def _changes(self, client: "HfApi", now: Remote | None) -> list[Change]:
        files = self.files
        return hub_side.changes(files, now, hub_side.leftovers(client, self.name, now, files) if now else [])

    def _done(self, commit: str, now: Remote, found: list[Change], changed: bool) -> PushResult:
        """Remember what is there now."""
        card = self.card.read_text(encoding="utf-8")
        write_text(self.folder / CARD, card)
        self.record.card = self.record.pushed[self.target] = digest(card)
        self.record.edited = False
        self.record.write(self.folder)
        return self._result(commit, now.private, found, changed)

    def _result(self, commit: str | None, private: bool | None, found: list[Change], changed: bool) -> PushResult:
        return PushResult(
            self.folder, self.name, self.branch, self._url, commit, private, found, changed, self.hub.dry_run
        )

    @property
    def _url(self) -> str:
        place = "" if self.branch == MAIN else f"/tree/{self.branch}"
        return f"{hub_endpoint().rstrip('/')}/{self.name}{place}"

    def _refuse_the_token_in_files(self) -> None:
        """Whatever was added to the folder by hand, it must not hold the key to the house."""
        if self.token is None:
            return
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.stat().st_size < TEXT_BYTES and self.token.encode() in path.read_bytes():
                raise InputError(f"{path} holds the Hub's token: take it out; nothing is sent")


def _title(trained: Trained) -> str:
    """What a commit is called, after what every one of ours begins with."""
    metrics = trained.stage.done() if trained.stage else None
    return f"{metrics['stage']}, {metrics['test']['accuracy']:.2%} on test" if metrics else "model"

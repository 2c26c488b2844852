"""What the loopback Hub keeps: accounts, repositories with their commits, and large files. All of it in memory."""

import base64
import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import yaml

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
LARGE_SUFFIXES = (".safetensors", ".bin", ".parquet", ".h5", ".pt", ".zip")
LARGE_BYTES = 10 * 2**20


class Refusal(Exception):
    """An answer other than 200: its status, the Hub's error code in `X-Error-Code`, and a message."""

    def __init__(self, status: int, message: str, code: str | None = None, body: dict | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body


@dataclass(frozen=True)
class Account:
    """Who a token belongs to, and whether it may write."""

    name: str
    orgs: tuple[str, ...] = ()
    role: str = "write"

    def owns(self, repo_id: str) -> bool:
        return repo_id.partition("/")[0] in (self.name, *self.orgs)


@dataclass(frozen=True)
class File:
    """A file of a commit; `large` ones are kept as LFS objects."""

    content: bytes
    large: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git holds of a large file."""
        return f"version https://git-lfs\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    @property
    def oid(self) -> str:
        stored = self.pointer if self.large else self.content
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid

    def entry(self, path: str) -> dict:
        """As the tree and the list of siblings show it."""
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        if self.large:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    description: str
    author: str
    date: datetime
    parent: "Commit | None"
    files: dict[str, File] = field(repr=False)

    @property
    def history(self) -> list["Commit"]:
        """This commit and those before it, the newest first."""
        return [self, *(self.parent.history if self.parent else [])]

    @property
    def stamp(self) -> str:
        return self.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def last_change(self, path: str) -> "Commit":
        """The newest commit that gave a file the content that it has here."""
        changed = self
        while changed.parent is not None and changed.parent.files.get(path) == self.files[path]:
            changed = changed.parent
        return changed


class Repository:
    """One repository: its branches and tags point at commits."""

    _ticks = itertools.count()

    def __init__(self, kind: str, repo_id: str, private: bool, author: str) -> None:
        self.kind, self.repo_id, self.private = kind, repo_id, private
        self.branches: dict[str, Commit] = {}
        self.tags: dict[str, Commit] = {}
        self.commit("main", author, "initial commit", {".gitattributes": File(b"*.safetensors filter=lfs\n")})

    def commit(
        self, branch: str, author: str, title: str, files: dict[str, File | None], description: str = ""
    ) -> Commit:
        """Lay files over a branch; None removes one."""
        parent = self.branches.get(branch)
        kept = {**(parent.files if parent else {}), **files}
        kept = {path: file for path, file in kept.items() if file is not None}
        tick = next(self._ticks)
        name = f"{tick} {title} {sorted((path, file.oid) for path, file in kept.items())}"
        made = Commit(
            hashlib.sha1(name.encode()).hexdigest(),
            title,
            description,
            author,
            datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=tick),
            parent,
            dict(sorted(kept.items())),
        )
        self.branches[branch] = made
        return made

    def at(self, revision: str) -> Commit:
        """The commit that a branch, a tag or the number of a commit stands for."""
        named = self.branches.get(revision) or self.tags.get(revision)
        if named is not None:
            return named
        for head in (*self.branches.values(), *self.tags.values()):
            for commit in head.history:
                if len(revision) >= 7 and commit.oid.startswith(revision):
                    return commit
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    @property
    def head(self) -> Commit:
        return self.branches["main"]


class Store:
    """Everything that the Hub knows."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.everything_regular = False
        self.room: int | None = None  # for large files, in bytes

    def is_large(self, path: str, size: int, sample: bytes) -> bool:
        """Whether a file goes by LFS: by its name, its size, or because it is binary."""
        return not self.everything_regular and (path.endswith(LARGE_SUFFIXES) or size >= LARGE_BYTES or b"\0" in sample)

    def account(self, token: str | None) -> Account | None:
        """Whose token it is; nobody's without one."""
        if token is None:
            return None
        if token not in self.accounts:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.accounts[token]

    def readable(self, kind: str, repo_id: str, token: str | None) -> Repository:
        account = self.account(token)
        found = self.repositories.get((kind, repo_id))
        if found is None or (found.private and not (account and account.owns(repo_id))):
            # Whether there is such a private repository is nobody's business.
            raise Refusal(404 if account else 401, "Repository not found", "RepoNotFound")
        return found

    def writable(self, kind: str, repo_id: str, token: str | None) -> Repository:
        found = self.readable(kind, repo_id, token)
        self.author(repo_id, token)
        return found

    def author(self, repo_id: str, token: str | None) -> Account:
        """Who writes, if they may."""
        account = self.account(token)
        if account is None:
            raise Refusal(401, "Invalid username or password.")
        if not account.owns(repo_id) or account.role == "read":
            raise Refusal(403, f"You don't have the rights to write to {repo_id.partition('/')[0]}")
        return account

    def create(self, kind: str, repo_id: str, private: bool, token: str | None) -> Repository:
        account = self.author(repo_id, token)
        if (kind, repo_id) in self.repositories:
            raise Refusal(409, f"You already created this {kind} repo")
        self.repositories[kind, repo_id] = made = Repository(kind, repo_id, private, account.name)
        return made

    def apply(self, found: Repository, branch: str, account: Account, lines: list[dict]) -> Commit:
        """One commit from the lines of its request, all of it or nothing."""
        header = next(line["value"] for line in lines if line["key"] == "header")
        if branch not in found.branches:
            if branch in found.tags:
                raise Refusal(400, f"{branch} is not a branch")
            raise Refusal(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        now = found.branches[branch]
        if header.get("parentCommit") not in (None, now.oid):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files: dict[str, File | None] = {}
        for line in lines:
            files.update(self._change(now, line["key"], line["value"]))
        if files.get("README.md"):
            errors = card_errors(files["README.md"].content.decode())
            if errors:
                raise Refusal(400, errors[0])
        return found.commit(branch, account.name, header["summary"], files, header.get("description", ""))

    def _change(self, now: Commit, key: str, value: dict) -> dict[str, File | None]:
        if key == "file":
            return {value["path"]: File(base64.b64decode(value["content"]))}
        if key == "lfsFile":
            if value["oid"] not in self.objects:
                raise Refusal(400, f"LFS pointer of {value['path']} points to an object that was not uploaded")
            return {value["path"]: File(self.objects[value["oid"]], large=True)}
        if key == "deletedFile":
            if value["path"] not in now.files:
                raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
            return {value["path"]: None}
        if key == "deletedFolder":
            return {path: None for path in now.files if path.startswith(value["path"].rstrip("/") + "/")}
        return {}


def front_matter(text: str) -> dict:
    """The metadata of a card; raises what YAML raises."""
    if not text.startswith("---\n"):
        return {}
    return yaml.safe_load(text[4:].partition("\n---")[0]) or {}


def card_errors(text: str) -> list[str]:
    """What is wrong with the metadata of a card."""
    try:
        values = front_matter(text)
    except yaml.YAMLError as error:
        return [f"YAML: {error}"]
    if not isinstance(values, dict):
        return ["metadata must be keys and values"]
    return [f'"{key}" must be text' for key in ("license", "pipeline_tag") if not isinstance(values.get(key, ""), str)]

"""Compare a local folder with a repository on the Hub."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.access import get_text

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"
# Begins the title of each commit of ours: a later push removes only files that such a commit wrote.
TITLE = "hf_cifar: "
GIT_FILE = ".gitattributes"  # the Hub's own
PATHS_PER_REQUEST = 500
MODEL, SPACE = "model", "space"
KINDS = (MODEL, "dataset", SPACE)


@dataclass(frozen=True)
class Remote:
    """A branch of a repository.

    Attributes:
        commit: the newest one.
        private: whether the repository is private.
        branch: whether the branch exists; else this is the commit that it would start from.
        files: path -> git's blob id, or the SHA-256 of a large file.
    """

    commit: str
    private: bool
    branch: bool
    files: dict[str, str]


@dataclass(frozen=True)
class Change:
    """What a push does to one file.

    Attributes:
        path: in the repository.
        size: in bytes; 0 for a file that is removed.
        what: new, changed, same, or gone.
    """

    path: str
    size: int
    what: str

    @property
    def sent(self) -> bool:
        """Return whether it is a part of the commit."""
        return self.what != "same"


def read_remote(api: "HfApi", repo_id: str, revision: str, kind: str = MODEL) -> Remote | None:
    """Return the repository at a branch, or at main where the branch is missing; None without a repository.

    Raises:
        InputError: the revision is a tag.
    """
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        info = api.repo_info(repo_id, repo_type=kind)
    except RepositoryNotFoundError:
        return None
    exists = True
    if revision != MAIN:
        try:
            info = api.repo_info(repo_id, revision=revision, repo_type=kind)
        except RevisionNotFoundError:
            exists = False
        if exists and revision not in [ref.name for ref in api.list_repo_refs(repo_id, repo_type=kind).branches]:
            raise InputError(f"--revision {revision} is a tag or commit of {repo_id}: a push goes to a branch")
    commit = str(info.sha)
    tree = api.list_repo_tree(repo_id, recursive=True, revision=commit, repo_type=kind)
    items = [item for item in tree if isinstance(item, RepoFile)]
    files = {item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in items}
    return Remote(commit, bool(info.private), exists, files)


def create(api: "HfApi", repo_id: str, private: bool, kind: str = MODEL, sdk: str | None = None) -> None:
    """Create the repository; a Space with its SDK.

    Raises:
        InputError: the name is taken by something of another kind.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.create_repo(repo_id, private=private, repo_type=kind, space_sdk=sdk)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        # Either somebody else created it in the meantime, or it is of another kind.
        if _exists(api, repo_id, kind):
            return
        others = (other for other in KINDS if other != kind and _exists(api, repo_id, other))
        other = next(others, f"repository that is not a {kind} or that the token cannot see")
        raise InputError(f"--hub-model-id {repo_id}: the name is taken by a {other}; give another one") from error


def _exists(api: "HfApi", repo_id: str, kind: str) -> bool:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        api.repo_info(repo_id, repo_type=kind)
    except RepositoryNotFoundError:
        return False
    return True


def changes(files: dict[str, Path], remote: Remote | None, leftovers: list[str]) -> list[Change]:
    """Return what a push does to each file.

    Args:
        files: path in the repository -> local file.
        remote: the repository; None where it does not exist.
        leftovers: remote files of an earlier push that are not in `files`.
    """
    known = remote.files if remote else {}
    result = []
    for path, file in sorted(files.items()):
        what = "new" if path not in known else "same" if known[path] in _digests(file) else "changed"
        result.append(Change(path, file.stat().st_size, what))
    return result + [Change(path, 0, "gone") for path in sorted(leftovers)]


def leftovers(api: "HfApi", repo_id: str, remote: Remote, files: dict[str, Path], kind: str = MODEL) -> list[str]:
    """Return remote files of an earlier push that nobody changed since and that are not in `files`."""
    extra = [path for path in remote.files if path not in files and path != GIT_FILE]
    infos = [
        info
        for start in range(0, len(extra), PATHS_PER_REQUEST)
        for info in api.get_paths_info(
            repo_id, extra[start : start + PATHS_PER_REQUEST], expand=True, revision=remote.commit, repo_type=kind
        )
    ]
    return [info.path for info in infos if info.last_commit and info.last_commit.title.startswith(TITLE)]


def read_card(repo_id: str, remote: Remote, token: str | None) -> str | None:
    """Return the text of the card on the Hub, or None."""
    from huggingface_hub import hf_hub_url

    if "README.md" not in remote.files:
        return None
    try:
        return get_text(hf_hub_url(repo_id, "README.md", revision=remote.commit), token)
    except UnicodeDecodeError as error:
        raise HubError(f"the README.md of {repo_id} is not UTF-8 text: a push would destroy it") from error


def is_ours(api: "HfApi", repo_id: str, commit: str) -> bool:
    """Return whether a commit came from a push of this package."""
    return api.list_repo_commits(repo_id, revision=commit)[0].title.startswith(TITLE)


def _digests(file: Path) -> tuple[str, str]:
    """Return the blob id of a file in git, and its SHA-256, by which the Hub knows a large file."""
    size = file.stat().st_size
    git, plain = hashlib.sha1(b"blob %d\0" % size), hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(2**20):
            git.update(block)
            plain.update(block)
    return git.hexdigest(), plain.hexdigest()

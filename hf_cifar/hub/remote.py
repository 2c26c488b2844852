"""A repository as it is on the Hub now, and what a folder would change in it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.access import get_text

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"
# How each of our commits begins: what a later push removes is only what one of them put there.
TITLE = "hf_cifar: "
GIT_FILE = ".gitattributes"  # the Hub's own
PATHS_AT_ONCE = 500
KINDS = ("dataset", "space")


@dataclass(frozen=True)
class Remote:
    """A branch of a repository.

    Attributes:
        commit: its newest.
        private: whether only its owner sees it.
        branch: whether the branch is there already; else this is what it would start from.
        files: path -> what tells contents apart: git's number of the file, or the sha256 of a large one.
    """

    commit: str
    private: bool
    branch: bool
    files: dict[str, str]


@dataclass(frozen=True)
class Change:
    """What one file needs.

    Attributes:
        path: in the repository.
        size: in bytes; 0 of a file that goes away.
        what: new, changed, same, or gone.
    """

    path: str
    size: int
    what: str

    @property
    def sent(self) -> bool:
        """Whether it is a part of the commit."""
        return self.what != "same"


def look(api: "HfApi", repo_id: str, revision: str) -> Remote | None:
    """The repository at a branch, or at main where it has no such branch; None where there is no repository.

    Raises:
        InputError: the revision is a tag.
    """
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        info = api.model_info(repo_id)
    except RepositoryNotFoundError:
        return None
    found = True
    if revision != MAIN:
        try:
            info = api.model_info(repo_id, revision=revision)
        except RevisionNotFoundError:
            found = False
        if found and revision not in [ref.name for ref in api.list_repo_refs(repo_id).branches]:
            raise InputError(f"--revision {revision} is a tag or commit of {repo_id}: a push goes to a branch")
    commit = str(info.sha)
    tree = [item for item in api.list_repo_tree(repo_id, recursive=True, revision=commit) if isinstance(item, RepoFile)]
    files = {item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in tree}
    return Remote(commit, bool(info.private), found, files)


def create(api: "HfApi", repo_id: str, private: bool) -> None:
    """Make the repository.

    Raises:
        InputError: the name is taken by something that is no model.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.create_repo(repo_id, private=private)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        # Either somebody else made the model in the meantime, which is as good, or it is no model.
        if _exists(api, repo_id, "model"):
            return
        kinds = (kind for kind in KINDS if _exists(api, repo_id, kind))
        kind = next(kinds, "repository that is no model, or that the token may not see")
        raise InputError(f"--hub-model-id {repo_id}: the name is taken by a {kind}; give another one") from error


def _exists(api: "HfApi", repo_id: str, kind: str) -> bool:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        api.repo_info(repo_id, repo_type=kind)
    except RepositoryNotFoundError:
        return False
    return True


def changes(files: dict[str, Path], remote: Remote | None, leftovers: list[str]) -> list[Change]:
    """What each file of a folder needs, and what is to go.

    Args:
        files: path in the repository -> file here.
        remote: as it is.
        leftovers: what is there of an earlier push and is not here.
    """
    known = remote.files if remote else {}
    found = []
    for path, file in sorted(files.items()):
        what = "new" if path not in known else "same" if known[path] in _numbers(file) else "changed"
        found.append(Change(path, file.stat().st_size, what))
    return found + [Change(path, 0, "gone") for path in sorted(leftovers)]


def leftovers(api: "HfApi", repo_id: str, remote: Remote, files: dict[str, Path]) -> list[str]:
    """What an earlier push of ours left there and nobody has changed since, and that is not here any more."""
    extra = [path for path in remote.files if path not in files and path != GIT_FILE]
    infos = [
        info
        for start in range(0, len(extra), PATHS_AT_ONCE)
        for info in api.get_paths_info(
            repo_id, extra[start : start + PATHS_AT_ONCE], expand=True, revision=remote.commit
        )
    ]
    return [info.path for info in infos if info.last_commit and info.last_commit.title.startswith(TITLE)]


def card_of(repo_id: str, remote: Remote, token: str | None) -> str | None:
    """The text of the card that is there."""
    from huggingface_hub import hf_hub_url

    if "README.md" not in remote.files:
        return None
    try:
        return get_text(hf_hub_url(repo_id, "README.md", revision=remote.commit), token)
    except UnicodeDecodeError as error:
        raise HubError(f"the README.md of {repo_id} is no text in UTF-8: it would be lost") from error


def is_ours(api: "HfApi", repo_id: str, commit: str) -> bool:
    """Whether a commit came from a push like this one."""
    return api.list_repo_commits(repo_id, revision=commit)[0].title.startswith(TITLE)


def _numbers(file: Path) -> tuple[str, str]:
    """What the Hub may call the content of a file: as a file of git, or as a large one."""
    size = file.stat().st_size
    git, plain = hashlib.sha1(b"blob %d\0" % size), hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(2**20):
            git.update(block)
            plain.update(block)
    return git.hexdigest(), plain.hexdigest()

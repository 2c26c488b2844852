"""What is on the loopback Hub, and what others do to it."""

from support.hub.fixtures import REPO
from support.hub.store import File


def files_of(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def on_hub(hub, repo=REPO, branch="main") -> dict[str, bytes]:
    """What a branch holds, without what the Hub itself put there."""
    files = hub.repository(repo).branches[branch].files
    return {path: file.content for path, file in files.items() if path != ".gitattributes"}


def edit(hub, **files: str) -> None:
    """Somebody changes files on the Hub's page; README stands for README.md."""
    changed = {name.replace("README", "README.md"): File(text.encode()) for name, text in files.items()}
    hub.repository(REPO).commit("main", "alice", "Update README.md", changed)

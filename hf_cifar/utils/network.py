"""Check within seconds whether the Hub can be reached, and switch the libraries offline if not."""

import os
import re
import socket
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 3.0
HUB = "https://huggingface.co"


def hub_endpoint() -> str:
    """Return the Hub's URL: `HF_ENDPOINT`, or the public one."""
    return os.environ.get("HF_ENDPOINT", HUB)


@cache
def reachable(url: str) -> bool:
    """Return whether the server of `url`, or its proxy, accepts a connection within three seconds."""
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    parts = urlsplit(proxy or url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def hub_reachable() -> bool:
    """Return whether the Hub can be used: `HF_HUB_OFFLINE` does not forbid it, and it accepts connections."""
    off = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return not off and reachable(hub_endpoint())


def go_offline() -> None:
    """Make the Hugging Face libraries use their caches without trying the network.

    They read the environment variable at import; in those already imported the constant is set too.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name, attribute in (
        ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
        ("datasets.config", "HF_HUB_OFFLINE"),
    ):
        if name in sys.modules:
            setattr(sys.modules[name], attribute, True)


def is_address(text: str) -> bool:
    """Return whether a text is an address, such as s3://BUCKET/FOLDER, and not a local path."""
    return "://" in text


def is_hub_id(name: str) -> bool:
    """Return whether `name` has the form USER/NAME or USER/NAME@REVISION."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@\w[\w./-]*)?", name) is not None


def split_revision(name: str) -> tuple[str, str | None]:
    """Split USER/NAME@REVISION; the revision, a branch, tag or commit, is None if it is missing."""
    repository, _, revision = name.partition("@")
    return repository, revision or None


def hub_cached(kind: str, name: str, revision: str | None = None) -> bool:
    """Return whether any file of a Hub "dataset" or "model", or of one revision of it, is in the local caches."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser() / f"{kind}s--{name.replace('/', '--')}"
    if revision is not None:
        return (hub / "refs" / revision).is_file() or (hub / "snapshots" / revision).is_dir()
    folders = [hub]
    if kind == "dataset":
        folders.append(Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets")) / name.replace("/", "___"))
    return any(folder.expanduser().is_dir() for folder in folders)

"""Find and remove local paths in what is published."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Keys whose value is a local path.
PATH_KEYS = ("output_dir", "feature_cache", "model_dir", "hub_token_file")
# Starts with /, ~/, ./, ../ or a drive, and is not a part of a word, a fraction or a URL.
_PATH = re.compile(r"(?<![\w:/.~\\])(?:[A-Za-z]:[\\/]|~?/|\.{1,2}/)(?:[\w.@+-]+[\\/])*[\w.@+-]+")


def without_paths(value: Any, run: Path | None) -> Any:
    """Return plain values with every local path reduced to its last name; keys that only hold one are removed.

    Args:
        value: nested dictionaries and lists.
        run: the folder of the run; paths inside it stay relative to it.
    """
    if isinstance(value, dict):
        return {key: without_paths(item, run) for key, item in value.items() if key not in PATH_KEYS}
    if isinstance(value, list):
        return [without_paths(item, run) for item in value]
    return _cleaned(value, run) if isinstance(value, str) else value


def local_paths(text: str, run: Path | None) -> list[str]:
    """Return the folders that a text names: the home folder, the working directory, the folder of the run."""
    folders = {Path.home(), Path.cwd(), *((run.absolute(), run.resolve()) if run else ())}
    names = [str(folder) for folder in folders if len(folder.parts) > 1]
    return sorted(name for name in names if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text))


def _cleaned(text: str, run: Path | None) -> str:
    if run is not None:
        for name in _names(run):
            text = text.replace(name + "/", run.resolve().name + "/")
    if _is_local(text):
        return Path(text).name
    return _PATH.sub(lambda match: re.split(r"[\\/]", match[0])[-1], text)


def _is_local(text: str) -> bool:
    """Return whether all of a text is an existing path with a folder in it; such a path may hold spaces."""
    try:
        return len(Path(text).parts) > 1 and Path(text).expanduser().exists()
    except (OSError, ValueError):
        return False


def _names(run: Path) -> Iterable[str]:
    """Return the spellings of the folder of a run, the longest first."""
    return sorted({str(run), str(run.absolute()), str(run.resolve())} - {".", "/"}, key=len, reverse=True)

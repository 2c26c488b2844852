"""Local paths, taken out of what leaves the machine."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Keys whose value is a place on this machine and nothing else.
PLACES = ("output_dir", "feature_cache", "model_dir", "hub_token_file")
# Starts with /, ~/, ./, ../ or a drive, and is not a part of a word, a fraction or an address.
_PATH = re.compile(r"(?<![\w:/.~\\])(?:[A-Za-z]:[\\/]|~?/|\.{1,2}/)(?:[\w.@+-]+[\\/])*[\w.@+-]+")


def without_paths(value: Any, run: Path | None) -> Any:
    """Plain values with every local path reduced to its last name, or removed where it is all that a key says.

    Args:
        value: dictionaries, lists, and what is in them.
        run: the folder of the run; of paths inside it, the way from there is kept.
    """
    if isinstance(value, dict):
        return {key: without_paths(item, run) for key, item in value.items() if key not in PLACES}
    if isinstance(value, list):
        return [without_paths(item, run) for item in value]
    return _cleaned(value, run) if isinstance(value, str) else value


def local_paths(text: str, run: Path | None) -> list[str]:
    """The places of this machine that a text names: the home folder, the folder of the run, the one worked in."""
    places = {Path.home(), Path.cwd(), *((run.absolute(), run.resolve()) if run else ())}
    named = [str(place) for place in places if len(place.parts) > 1]
    return sorted(name for name in named if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text))


def _cleaned(text: str, run: Path | None) -> str:
    if run is not None:
        for name in _names(run):
            text = text.replace(name + "/", run.resolve().name + "/")
    if _is_local(text):
        return Path(text).name
    return _PATH.sub(lambda match: re.split(r"[\\/]", match[0])[-1], text)


def _is_local(text: str) -> bool:
    """Whether the whole of it is a path with a folder in it that is there; such may hold spaces."""
    try:
        return len(Path(text).parts) > 1 and Path(text).expanduser().exists()
    except (OSError, ValueError):
        return False


def _names(run: Path) -> Iterable[str]:
    """The folder of a run as it may have been written, the longest first."""
    return sorted({str(run), str(run.absolute()), str(run.resolve())} - {".", "/"}, key=len, reverse=True)

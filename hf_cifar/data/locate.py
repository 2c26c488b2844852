"""What `--dataset` points at. Light: the command line asks before anything heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hf_cifar.connection import is_hub_id, split_revision
from hf_cifar.errors import InputError, unknown_name

ALIASES = {"cifar10": "uoft-cs/cifar10"}
NAMES = (*ALIASES, "digits")


@dataclass(frozen=True)
class Location:
    """Where a dataset is to be found.

    Attributes:
        kind: bundled, folder or hub.
        name: the bundled name, the path, or the Hub id.
    """

    kind: Literal["bundled", "folder", "hub"]
    name: str


def locate_dataset(name: str) -> Location:
    """What `--dataset` points at.

    Raises:
        InputError: no such folder, or a name that is not known; the nearest is given.
    """
    if name == "digits":
        return Location("bundled", name)
    if name in ALIASES:
        return Location("hub", ALIASES[name])
    path = Path(name).expanduser()
    if path.is_dir():
        return Location("folder", str(path))
    if path.exists():
        raise InputError(f"--dataset {name} is a file: give the folder that holds it")
    if is_hub_id(name):
        repository, revision = split_revision(name)
        if revision is not None:
            raise InputError(f"--dataset {name}: use --dataset {repository} --dataset-revision {revision}")
        return Location("hub", name)
    if "/" in name:
        raise InputError(f"--dataset {name}: no such folder")
    raise unknown_name("dataset", name, NAMES)

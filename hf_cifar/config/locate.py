"""Resolve the names of models, weights and datasets to places. Light: no torch here."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hf_cifar.errors import InputError, unknown_name
from hf_cifar.utils.network import is_hub_id, split_revision

BUNDLED = Path(__file__).parent.parent / "bundled"
TORCHVISION = ("resnet18", "resnet34", "resnet50")
HUB_NAMES = {
    "vit-base": "google/vit-base-patch16-224-in21k",
    "deit-small": "facebook/deit-small-patch16-224",
    "dinov2-small": "facebook/dinov2-small",
    "dinov2-base": "facebook/dinov2-base",
}
MODEL_NAMES = (*TORCHVISION, "resnet18-mini", *HUB_NAMES)
MODEL_PLACES = ("", "model", "finetune/model", "probe/model")  # in a model's folder, a stage's, a run's
DEFAULT_WEIGHTS = "IMAGENET1K_V1"
DATASET_ALIASES = {"cifar10": "uoft-cs/cifar10"}
DATASET_NAMES = (*DATASET_ALIASES, "digits")


@dataclass(frozen=True)
class Location:
    """Where a model, or weights, are to be found.

    Attributes:
        kind: torchvision (a name of its zoo), folder, file, hub, or none (random weights).
        name: the name, path or Hub id.
        revision: branch, tag or commit on the Hub; None for its main branch, and elsewhere.
    """

    kind: Literal["torchvision", "folder", "file", "hub", "none"]
    name: str
    revision: str | None = None

    @property
    def full_name(self) -> str:
        """The name with its revision, as it is given to `--model`: USER/NAME@REVISION."""
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def locate_model(name: str) -> Location:
    """What `--model` points at.

    Raises:
        InputError: no such name or folder; the nearest name is given.
    """
    if name in TORCHVISION:
        return Location("torchvision", name)
    if name in HUB_NAMES:
        return Location("hub", HUB_NAMES[name])
    if name in MODEL_NAMES:
        return Location("folder", str(BUNDLED / name))
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"--model {name}: the folder holds no config.json; for bare weights use --weights {name}")
        return Location("folder", str(path))
    if is_hub_id(name):
        return Location("hub", *split_revision(name))
    raise unknown_name("model", name, MODEL_NAMES)


def locate_start(name: str) -> Location:
    """What `--from` points at: a model's folder, a stage, a run (its last stage), or a Hub id.

    Raises:
        InputError: no such folder, or none that holds a saved model.
    """
    return _locate_saved(name, "--from")


def locate_checkpoint(name: str) -> Location:
    """What `--checkpoint` points at: the same as `--from`; raises as `locate_start`."""
    return _locate_saved(name, "--checkpoint")


def _locate_saved(name: str, option: str) -> Location:
    path = Path(name).expanduser()
    if path.is_dir():
        for place in MODEL_PLACES:
            if (path / place / "config.json").is_file():
                return Location("folder", str(path / place))
        raise InputError(f"{option} {name} holds no saved model: give a run, one of its stages, or a model's folder")
    if is_hub_id(name):
        return Location("hub", *split_revision(name))
    raise InputError(f"{option} {name}: no such folder")


def locate_weights(name: str) -> Location:
    """What `--weights` points at.

    Raises:
        InputError: it looks like a path, and nothing is there.
    """
    if name == "none":
        return Location("none", name)
    path = Path(name).expanduser()
    if path.is_dir():
        return Location("folder", str(path))
    if path.is_file():
        return Location("file", str(path))
    if path.suffix in {".pth", ".pt", ".bin", ".safetensors"} or name.startswith((".", "/", "~")):
        raise InputError(f"--weights {name}: no such file or folder")
    if is_hub_id(name):
        return Location("hub", *split_revision(name))
    return Location("torchvision", name)


def torchvision_weights_cached(arch: str) -> bool:
    """Whether torch's download cache holds any weights of a torchvision architecture."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return any((Path(home).expanduser() / "hub" / "checkpoints").glob(f"{arch}-*.pth"))


@dataclass(frozen=True)
class DatasetLocation:
    """Where a dataset is to be found.

    Attributes:
        kind: bundled, folder or hub.
        name: the bundled name, the path, or the Hub id.
    """

    kind: Literal["bundled", "folder", "hub"]
    name: str


def locate_dataset(name: str) -> DatasetLocation:
    """What `--dataset` points at.

    Raises:
        InputError: no such folder, or a name that is not known; the nearest is given.
    """
    if name == "digits":
        return DatasetLocation("bundled", name)
    if name in DATASET_ALIASES:
        return DatasetLocation("hub", DATASET_ALIASES[name])
    path = Path(name).expanduser()
    if path.is_dir():
        return DatasetLocation("folder", str(path))
    if path.exists():
        raise InputError(f"--dataset {name} is a file: give the folder that holds it")
    if is_hub_id(name):
        repository, revision = split_revision(name)
        if revision is not None:
            raise InputError(f"--dataset {name}: use --dataset {repository} --dataset-revision {revision}")
        return DatasetLocation("hub", name)
    if "/" in name:
        raise InputError(f"--dataset {name}: no such folder")
    raise unknown_name("dataset", name, DATASET_NAMES)

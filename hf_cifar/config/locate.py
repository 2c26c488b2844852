"""Resolve the names of models, weights and datasets to places. Light: no torch here."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hf_cifar.errors import InputError, hint, unknown_name
from hf_cifar.utils.json_files import read_object
from hf_cifar.utils.network import hub_cached, hub_reachable, is_hub_id, split_revision

BUNDLED = Path(__file__).parent.parent / "bundled"
TORCHVISION = ("resnet18", "resnet34", "resnet50")
HUB_NAMES = {
    "vit-base": "google/vit-base-patch16-224-in21k",
    "deit-small": "facebook/deit-small-patch16-224",
    "dinov2-small": "facebook/dinov2-small",
    "dinov2-base": "facebook/dinov2-base",
}
MODEL_NAMES = (*TORCHVISION, "resnet18-mini", *HUB_NAMES)
MODEL_SUBFOLDERS = ("", "model", "finetune/model", "probe/model")  # of a model's folder, a stage's, a run's
DEFAULT_WEIGHTS = "IMAGENET1K_V1"
DATASET_ALIASES = {"cifar10": "uoft-cs/cifar10"}
DATASET_NAMES = (*DATASET_ALIASES, "digits")
CONFIG_FILE = "config.json"
ARCHIVE = ".zip"  # of a dataset
WEIGHTS_SUFFIXES = {".pth", ".pt", ".bin", ".safetensors"}


@dataclass(frozen=True)
class Location:
    """Where a model, or weights, are to be found.

    Attributes:
        kind: torchvision (a name of its model zoo), folder, file, hub, or none (random weights).
        name: the name, path or Hub id.
        revision: branch, tag or commit on the Hub; None for its main branch, and elsewhere.
    """

    kind: Literal["torchvision", "folder", "file", "hub", "none"]
    name: str
    revision: str | None = None

    @property
    def full_name(self) -> str:
        """Return the name with its revision, as `--model` takes it: USER/NAME@REVISION."""
        return self.name if self.revision is None else f"{self.name}@{self.revision}"

    @property
    def is_bundled(self) -> bool:
        """Return whether it ships with the package."""
        return self.kind == "folder" and Path(self.name).parent == BUNDLED

    def same_place(self, other: "Location") -> bool:
        """Return whether two locations are the same, however their paths are written."""
        if self.kind in ("folder", "file") and self.kind == other.kind:
            return Path(self.name).resolve() == Path(other.name).resolve()
        return self == other


@dataclass(frozen=True)
class DatasetLocation:
    """Where a dataset is to be found.

    Attributes:
        kind: bundled, folder or hub.
        name: the bundled name, the path of a folder or a .zip file, or the Hub id.
    """

    kind: Literal["bundled", "folder", "hub"]
    name: str

    def same_place(self, other: "DatasetLocation") -> bool:
        """Return whether two locations are the same, however their paths are written."""
        if self.kind == "folder" and other.kind == "folder":
            return Path(self.name).resolve() == Path(other.name).resolve()
        return self == other


def locate_model(name: str) -> Location:
    """Return what `--model` names.

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
        if not (path / CONFIG_FILE).is_file():
            raise InputError(f"--model {name}: the folder has no {CONFIG_FILE}; for bare weights use --weights {name}")
        return Location("folder", str(path))
    refuse_missing_path("--model", name, "model")
    if is_hub_id(name):
        return Location("hub", *split_revision(name))
    raise unknown_name("model", name, MODEL_NAMES)


def locate_start(name: str) -> Location:
    """Return what `--from` names: a model's folder, a stage, a run (its last stage), or a Hub id.

    Raises:
        InputError: no such folder, or none that holds a saved model.
    """
    return _locate_saved(name, "--from")


def locate_checkpoint(name: str) -> Location:
    """Return what `--checkpoint` names: the same as `--from`; raises as `locate_start`."""
    return _locate_saved(name, "--checkpoint")


def saved_model_in(folder: Path) -> Path | None:
    """Return the folder of the saved model in a model's folder, a stage's, or a run's (of its last stage), or None."""
    candidates = (folder / subfolder for subfolder in MODEL_SUBFOLDERS)
    return next((path for path in candidates if (path / CONFIG_FILE).is_file()), None)


def _locate_saved(name: str, option: str) -> Location:
    path = Path(name).expanduser()
    if path.is_dir():
        model = saved_model_in(path)
        if model is None:
            raise InputError(f"{option} {name} has no saved model: give a run, one of its stages, or a model's folder")
        return Location("folder", str(model))
    refuse_missing_path(option, name, "model")
    if is_hub_id(name):
        return Location("hub", *split_revision(name))
    raise InputError(f"{option} {name}: no such folder")


def locate_weights(name: str) -> Location:
    """Return what `--weights` names.

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
    if path.suffix in WEIGHTS_SUFFIXES or name.startswith((".", "/", "~")):
        raise InputError(f"--weights {name}: no such file or folder")
    refuse_missing_path("--weights", name, "model")
    if is_hub_id(name):
        return Location("hub", *split_revision(name))
    return Location("torchvision", name)


def locate_dataset(name: str) -> DatasetLocation:
    """Return what `--dataset` names.

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
    if path.is_file() and path.suffix.lower() == ARCHIVE:
        return DatasetLocation("folder", str(path))
    if path.exists():
        raise InputError(f"--dataset {name} is a file: give the folder that holds it, or a .zip file")
    if path.suffix.lower() == ARCHIVE:
        raise InputError(f"--dataset {name}: no such file")
    refuse_missing_path("--dataset", name, "dataset")
    if is_hub_id(name):
        repository, revision = split_revision(name)
        if revision is not None:
            raise InputError(f"--dataset {name}: use --dataset {repository} --dataset-revision {revision}")
        return DatasetLocation("hub", name)
    if "/" in name:
        raise InputError(f"--dataset {name}: no such folder")
    if hint(name, DATASET_NAMES):
        raise unknown_name("dataset", name, DATASET_NAMES)
    raise InputError(
        f"--dataset {name}: no such folder; {hint(name, _neighbours(path))}give a folder or a .zip file that is there, "
        f"a Hub id (USER/NAME), or {' or '.join(DATASET_NAMES)}"
    )


def refuse_missing_path(option: str, name: str, kind: Literal["model", "dataset"]) -> None:
    """Refuse a path that is not there.

    USER/NAME where USER is a folder here is a Hub id if it has a revision, or is in the Hub's cache or on the Hub.

    Args:
        option: that names it.
        name: as given.
        kind: of what it would be on the Hub.

    Raises:
        InputError: it names no file and no folder.
    """
    path = Path(name).expanduser()
    is_path = name.startswith((".", "/", "~")) or (path.parent != Path() and path.parent.is_dir())
    if not is_path or path.exists() or (is_hub_id(name) and ("@" in name or hub_cached(kind, name))):
        return
    elsewhere = ""
    if is_hub_id(name):
        reachable = hub_reachable()
        if reachable and _on_hub(kind, name):
            return
        elsewhere = f", and no {kind} on the Hub"
        if not reachable:
            elsewhere = f", and the Hub cannot be reached to look for a {kind}"
    raise InputError(f"{option} {name}: no such folder{elsewhere}; {hint(path.name, _neighbours(path))}".rstrip("; "))


def _on_hub(kind: str, name: str) -> bool:
    from huggingface_hub import HfApi

    try:
        return HfApi().repo_exists(name, repo_type=kind)
    except Exception:  # of the client, or of whatever it asks by: loading says what is wrong
        return True


def _neighbours(path: Path) -> list[str]:
    """Return the names that are in the folder where a path would be."""
    try:
        return sorted(other.name for other in path.parent.iterdir() if not other.name.startswith("."))[:1_000]
    except OSError:
        return []


def read_model_config(location: Location) -> dict[str, Any] | None:
    """Read the config.json of a model: from its folder, or from the Hub or its cache.

    Returns:
        Its content; None for torchvision's networks, and where the Hub cannot be asked and nothing is cached.

    Raises:
        InputError: the file is damaged.
    """
    if location.kind == "folder":
        file: Path | None = Path(location.name) / CONFIG_FILE
    elif location.kind == "hub":
        file = _hub_config_file(location)
    else:
        file = None
    if file is None:
        return None
    return read_object(file, f"{CONFIG_FILE} of {location.full_name}")


def _hub_config_file(location: Location) -> Path | None:
    """Return the config.json of a model on the Hub as a file of the local cache, or None where it cannot be had."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(location.name, CONFIG_FILE, revision=location.revision)
    if isinstance(cached, str):
        return Path(cached)
    if not hub_reachable():
        return None
    try:
        return Path(hf_hub_download(location.name, CONFIG_FILE, revision=location.revision))
    except (OSError, ValueError):
        return None  # loading the model says what is wrong with it


def torchvision_weights_cached(arch: str) -> bool:
    """Return whether torch's download cache holds any weights of a torchvision architecture."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return any((Path(home).expanduser() / "hub" / "checkpoints").glob(f"{arch}-*.pth"))

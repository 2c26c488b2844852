"""The folder of a run: who may write there, and what describes it."""

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hf_cifar.config import PROVENANCE, RunConfig, read_yaml, to_yaml
from hf_cifar.errors import InputError
from hf_cifar.files import write_json, write_text

RUN_FILE = "run.yaml"
SPLITS_FILE = "splits.json"
DESCRIPTION = (RUN_FILE, SPLITS_FILE)
LIBRARIES = (
    "hf_cifar",
    "torch",
    "torchvision",
    "transformers",
    "datasets",
    "evaluate",
    "accelerate",
    "huggingface_hub",
    "scikit-learn",
    "numpy",
    "pillow",
)


class RunFolder:
    """`runs/NAME`, claimed for one stage of one configuration.

    Args:
        config: names the folder and the stage, and says whether an older run there is resumed or replaced.

    Raises:
        InputError: the folder is in use, and neither was asked for, or the run there is another one.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.path = config.folder
        self.stage = self.path / config.stage
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"--output-dir {self.path} is a file: give a folder")
        if config.resume:
            self._refuse_another_run()
        elif not config.overwrite and self._in_use():
            raise InputError(
                f"--output-dir {self.path} is in use: --resume goes on with the run there, --overwrite replaces it"
            )

    def claim(self) -> None:
        """Make the folder, and with `--overwrite` remove what an older run of the stage left there."""
        if self.config.overwrite:
            for name in DESCRIPTION:
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoints(self) -> Path:
        """Where `Trainer` keeps what `--resume` needs."""
        return self.stage / "checkpoints"

    @property
    def model(self) -> Path:
        """The saved model, which opens anywhere."""
        return self.stage / "model"

    def finished(self) -> dict[str, Any] | None:
        """With `--resume`, the metrics of a stage that is done: `metrics.json` is written last."""
        path = self.stage / "metrics.json"
        if not self.config.resume:
            return None
        return json.loads(path.read_text()) if path.is_file() else None

    def describe(self, provenance: dict[str, Any], splits: dict[str, Any]) -> None:
        """Write `run.yaml`, with which the run can be repeated, and the indices of its splits."""
        values = {**self.config.to_dict(), PROVENANCE: {**provenance, "versions": versions()}}
        write_text(self.path / RUN_FILE, to_yaml(values))
        write_json(self.path / SPLITS_FILE, splits)

    def _in_use(self) -> bool:
        """Whether anything is there but what a run leaves that failed before it had any result."""
        if not self.path.exists():
            return False
        others = any(item.name not in (*DESCRIPTION, self.stage.name) for item in self.path.iterdir())
        return others or any(item.is_file() for item in self.stage.rglob("*"))

    def _refuse_another_run(self) -> None:
        file = self.path / RUN_FILE
        if not file.is_file():
            return
        for name, (before, now) in _differences(RunConfig.build(read_yaml(file)).to_dict(), self.config.to_dict()):
            raise InputError(
                f"--resume: the run in {self.path} has {name} {before!r}, not {now!r}; "
                "leave the option out, or start anew with --overwrite"
            )


def versions() -> dict[str, str]:
    """Of Python and of every library that a result may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _differences(before: dict[str, Any], now: dict[str, Any], where: str = "") -> list[tuple[str, tuple[Any, Any]]]:
    found: list[tuple[str, tuple[Any, Any]]] = []
    for key in {**before, **now}:
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{where}{key}.")
        elif one != other and key not in ("output_dir", "recipe"):
            found.append((where + key, (one, other)))
    return found

"""The folder of a run: who may write there, and what describes it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_cifar.config.locate import locate_start
from hf_cifar.config.recipes import PROVENANCE, read_yaml, to_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.run.environment import versions
from hf_cifar.run.stage_folder import RUN_FILE, SPLITS_FILE, StageFolder
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_json, write_text

DESCRIPTION = (RUN_FILE, SPLITS_FILE)


class RunFolder:
    """`runs/NAME`, claimed for one run.

    Args:
        config: names the folder and the stages, and says whether an older run there is resumed or replaced.

    Raises:
        InputError: the folder is in use, and neither was asked for, or the run there is another one.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.path = config.folder
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"--output-dir {self.path} is a file: give a folder")
        self.adds_to_probe = adds_to_probe(config)
        if config.resume or self.adds_to_probe:
            self._refuse_another_run()
        if config.overwrite and config.finetune.from_ is not None:
            self._refuse_to_remove(locate_start(config.finetune.from_).name)
        if not config.resume and not config.overwrite and self._in_use():
            raise InputError(
                f"--output-dir {self.path} is in use: --resume goes on with the run there, --overwrite replaces it"
            )

    def stage(self, name: str) -> StageFolder:
        """The folder of one stage."""
        return StageFolder(self.path / name)

    def claim(self) -> None:
        """Make the folders, and with `--overwrite` remove what an older run of the stages left there."""
        if processes.is_main():
            if self.config.overwrite:
                for name in () if self.adds_to_probe else DESCRIPTION:
                    (self.path / name).unlink(missing_ok=True)
                # Whatever was fine-tuned came from the probe that is replaced.
                for name in {*self.config.stages, "finetune"}:
                    shutil.rmtree(self.path / name, ignore_errors=True)
            for name in self.config.stages:
                self.stage(name).path.mkdir(parents=True, exist_ok=True)
        processes.wait_for_all()

    def describe(self, provenance: dict[str, Any], splits: dict[str, Any]) -> None:
        """Write `run.yaml`, with which the run can be repeated, and the indices of its splits."""
        if not processes.is_main():
            return
        values = self.config.to_dict()
        if self.adds_to_probe:
            values |= {"stage": "lpft", "probe": self._before().to_dict()["probe"]}
        values[PROVENANCE] = {**provenance, "versions": versions()}
        write_text(self.path / RUN_FILE, to_yaml(values))
        write_json(self.path / SPLITS_FILE, splits)

    def _in_use(self) -> bool:
        """Whether anything is there but what a run leaves that failed before it had any result."""
        if not self.path.exists():
            return False
        kept = ("probe",) if self.adds_to_probe else ()
        ours = (*DESCRIPTION, *self.config.stages, *kept)
        others = any(item.name not in ours for item in self.path.iterdir())
        stages = [self.path / name for name in self.config.stages if name not in kept]
        return others or any(item.is_file() for stage in stages for item in stage.rglob("*"))

    def _refuse_to_remove(self, start: str) -> None:
        """Refuse to replace the stage that holds the very model that fine-tuning is to start from."""
        if any(Path(start).resolve().is_relative_to((self.path / name).resolve()) for name in self.config.stages):
            raise InputError(f"--overwrite would remove {start}, which --from names: give another --output-dir")

    def _before(self) -> RunConfig:
        return RunConfig.build(read_yaml(self.path / RUN_FILE))

    def _refuse_another_run(self) -> None:
        if not (self.path / RUN_FILE).is_file():
            return
        before = self._before()
        if not self.adds_to_probe and not set(self.config.stages) <= set(before.stages):
            raise InputError(
                f"--resume: the run in {self.path} is of --stage {before.stage}, not {self.config.stage}; "
                "--stage finetune goes on from a probe, and --overwrite starts anew"
            )
        # A probe that is done says nothing of how it is fine-tuned, but all of images, labels and backbone.
        done = set() if self.config.resume and self.stage("finetune").checkpoints.exists() else {"finetune"}
        free = {"augmentation", "momentum", "probe", *done} if self.adds_to_probe else set()
        for name, (was, now) in _differences(before.to_dict(), self.config.to_dict()):
            if name.partition(".")[0] not in free:
                option, instead = ("--resume", "--overwrite") if self.config.resume else ("--output-dir", "another one")
                raise InputError(
                    f"{option}: the run in {self.path} has {name} {was!r}, not {now!r}; "
                    f"leave the option out, or start anew with {instead}"
                )


def configured(*layers: dict[str, Any]) -> RunConfig:
    """A configuration from its layers, as `RunConfig.build` makes it; what was said of a run before holds.

    A run that is gone on from, or whose probe is fine-tuned, need not be described again. A run that is evaluated
    is by default evaluated on its own data, into its own folder.

    Raises:
        InputError: a key, choice or value that does not fit.
    """
    config = RunConfig.build(*layers)
    if config.stage == "evaluate":
        run = run_of(config.checkpoint or str(config.folder))
        if run is None or any("dataset" in layer.get("data", ()) for layer in layers):
            return config
        values = run.to_dict()
        return RunConfig.build({name: values[name] for name in ("output_dir", "seed", "data")}, *layers)
    file = config.folder / RUN_FILE
    if file.is_file() and (config.resume or adds_to_probe(config)):
        before = read_yaml(file)
        if not config.resume:
            before.pop("finetune", None)
        config = RunConfig.build(before, *layers)
    return config


def run_of(checkpoint: str) -> RunConfig | None:
    """The run that a checkpoint is from, or that it names, with the folder that it is in now; None if it is no run's.

    Args:
        checkpoint: a folder or a Hub id.
    """
    folder = Path(checkpoint).expanduser()
    for place in (folder, folder.parent, folder.parent.parent):
        if (place / RUN_FILE).is_file() and folder.is_dir():
            return replace(RunConfig.build(read_yaml(place / RUN_FILE)), output_dir=str(place))
    return None


def adds_to_probe(config: RunConfig) -> bool:
    """Whether a run fine-tunes the probe that its folder holds already."""
    probe = StageFolder(config.folder / "probe")
    return config.stages == ("finetune",) and config.finetune.from_ is None and probe.metrics.is_file()


def _differences(before: dict[str, Any], now: dict[str, Any], where: str = "") -> list[tuple[str, tuple[Any, Any]]]:
    found: list[tuple[str, tuple[Any, Any]]] = []
    for key in {**before, **now}:
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{where}{key}.")
        elif one != other and key not in ("output_dir", "recipe", "stage", "evaluation"):
            found.append((where + key, (one, other)))
    return found

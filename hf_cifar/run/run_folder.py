"""The folder of a run: who may write there, and what describes it."""

import re
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hf_cifar.config.locate import locate_dataset, locate_model
from hf_cifar.config.recipes import PROVENANCE, to_yaml
from hf_cifar.config.stages import TRAINED
from hf_cifar.errors import InputError
from hf_cifar.run.environment import versions
from hf_cifar.run.lock import HOLDER_FILE, LOCK_FILE, locked, refuse_if_locked
from hf_cifar.run.recorded_run import OPTIONS_CHECKSUM, SPLITS_CHECKSUM, RecordedRun, checksum_of_options
from hf_cifar.run.request import Request
from hf_cifar.run.stage_folder import (
    AUDIT_FOLDER,
    IMAGE_HASHES_FILE,
    RUN_FILE,
    SEEDS_FILE,
    SPLITS_FILE,
    StageFolder,
)
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils import processes
from hf_cifar.utils.checksums import sha256_of
from hf_cifar.utils.files import remove_leftovers, write_aside, write_json, write_text
from hf_cifar.utils.progress import say

DESCRIPTION = (RUN_FILE, SPLITS_FILE, IMAGE_HASHES_FILE)
# Compared by what they are, and not by how they are written.
_BY_PLACE = ("data.dataset", "model.model", "finetune.from_")
_SEED = re.compile(r"seed-\d+")
# What changes no result. How images come to the network is among it: draws depend on no worker.
_LOADING = [f"dataloader_{name}" for name in ("num_workers", "prefetch_factor", "persistent_workers", "pin_memory")]
_SHOWN = ("report_to", "disable_tqdm")
_FREE = ("output_dir", "recipe", "stage", "evaluation", "image_cache", *_LOADING, *_SHOWN)


class SplitRows(Protocol):
    """Some rows of a split, as `data.images.LabeledImages` has them."""

    @property
    def name(self) -> str:
        """Return the split of the source that the rows are of."""

    @property
    def fingerprint(self) -> str:
        """Return a digest of that split's content."""

    @property
    def index(self) -> np.ndarray:
        """Return the rows, int64 [n]."""


class RunFolder:
    """`runs/NAME`, claimed for one run.

    Args:
        request: names the folder and the stages, and says whether an older run there is continued or replaced.
        stack: keeps the folder locked until it is closed, from `claim` on, or from now on where a run is continued.

    Raises:
        InputError: the folder is in use, by another process or by an older run, and neither was asked for; or the run
            there is another one.
    """

    def __init__(self, request: Request, stack: ExitStack) -> None:
        self.request = request
        self.config = request.config
        self.path = request.folder
        self._stack, self._is_locked = stack, False
        refuse_if_locked(self.path)
        if self.continues and self.path.is_dir():
            self._lock()
            self._refuse_another_run()
        if self.config.overwrite and self.config.finetune.from_ is not None:
            self._refuse_to_remove_start()
        if not self.config.resume and not self.config.overwrite and self._in_use():
            raise InputError(
                f"--output-dir {self.path} is in use: --resume continues the run there, --overwrite replaces it"
            )

    @property
    def continues(self) -> bool:
        """Return whether an older run there is continued, or its probe fine-tuned."""
        return self.config.resume or self.request.adds_to_probe

    def stage(self, name: str) -> StageFolder:
        """Return the folder of a stage."""
        return StageFolder(self.path / name)

    def finished(self, stage: str) -> StageMetrics | None:
        """Return the metrics of a stage that is finished and undamaged, or None; what is damaged is said."""
        folder = self.stage(stage)
        if not folder.metrics.is_file():
            return None
        damage = processes.from_main(folder.find_damage() if processes.is_main() else None)
        if damage is None:
            return folder.read_metrics()
        say(f"warning: the finished {stage} in {self.path} is damaged ({damage}): it is trained again")
        if processes.is_main():
            folder.metrics.unlink()
        processes.wait_for_all()
        return None

    def refuse_other_data(self, splits: Mapping[str, SplitRows]) -> None:
        """Refuse to continue a run on other images than it began with.

        Args:
            splits: train, validation and test as they are now.

        Raises:
            InputError: the content of a split, or the choice of its rows, is another one.
        """
        if not self.continues or not (self.path / RUN_FILE).is_file():
            return
        recorded = RecordedRun.read(self.path).splits
        for name, rows in splits.items():
            before = recorded.get(name)
            if before is None:
                continue
            if before.fingerprint not in (None, rows.fingerprint) or before.split != rows.name:
                changed = f"the images of {rows.name} changed"
            elif before.rows != rows.index.tolist():
                changed = f"other images are now chosen for {name}"
            else:
                continue
            raise InputError(
                f"the run in {self.path} was started on other data: {changed} since; restore the dataset, or start "
                "over with --overwrite"
            )

    def claim(self) -> None:
        """Lock and make the folders, and with `--overwrite` remove what an older run of the stages left there.

        Raises:
            InputError: another process was quicker.
        """
        self._lock()
        if processes.is_main():
            remove_leftovers(self.path)
            if self.config.overwrite:
                for name in () if self.request.adds_to_probe else DESCRIPTION:
                    (self.path / name).unlink(missing_ok=True)
                (self.path / SEEDS_FILE).unlink(missing_ok=True)
                for folder in self._replaced():
                    shutil.rmtree(folder, ignore_errors=True)
            for name in self.config.stages:
                self.stage(name).path.mkdir(parents=True, exist_ok=True)
                remove_leftovers(self.stage(name).path)
        processes.wait_for_all()

    def describe(
        self, provenance: dict[str, Any], splits: Mapping[str, SplitRows], image_hashes: dict[str, np.ndarray] | None
    ) -> None:
        """Write `run.yaml`, with which the run can be repeated, the rows of its splits, and hashes of their images.

        Args:
            provenance: what is recorded beside the options.
            splits: train, validation and test.
            image_hashes: for each split, sorted uint64; None where there are too many images.
        """
        if not processes.is_main():
            return
        values = self.config.to_dict()
        if self.request.adds_to_probe:
            values |= {"stage": "lpft", "probe": RecordedRun.read(self.path).config.to_dict()["probe"]}
        rows = {
            name: {"split": part.name, "fingerprint": part.fingerprint, "rows": part.index.tolist()}
            for name, part in splits.items()
        }
        write_json(self.path / SPLITS_FILE, rows)
        if image_hashes is not None:
            write_aside(self.path / IMAGE_HASHES_FILE, lambda aside: _write_arrays(aside, image_hashes))
        checksums = {
            OPTIONS_CHECKSUM: checksum_of_options(values),
            SPLITS_CHECKSUM: sha256_of(self.path / SPLITS_FILE),
        }
        values[PROVENANCE] = {**provenance, **checksums, "versions": versions()}
        write_text(self.path / RUN_FILE, to_yaml(values))

    def _in_use(self) -> bool:
        """Return whether anything is there but what a run leaves that failed before it had any result."""
        if not self.path.exists():
            return False
        kept = ("probe",) if self.request.adds_to_probe else ()
        ours = (*DESCRIPTION, LOCK_FILE, HOLDER_FILE, AUDIT_FOLDER, *self.config.stages, *kept)
        others = any(item.name not in ours for item in self.path.iterdir())
        stages = [self.path / name for name in self.config.stages if name not in kept]
        return others or any(item.is_file() for stage in stages for item in stage.rglob("*"))

    def _replaced(self) -> list[Path]:
        """Return the folders that `--overwrite` removes: of the stages, and of the seeds of an older run."""
        # Whatever was fine-tuned came from the probe that is replaced.
        stages = [self.path / name for name in {*self.config.stages, "finetune"}]
        return stages + [path for path in self.path.glob("seed-*") if _SEED.fullmatch(path.name)]

    def _refuse_to_remove_start(self) -> None:
        """Refuse to replace the stage that holds the very model that fine-tuning is to start from."""
        assert self.request.model is not None
        start = Path(self.request.model.name).resolve()
        if any(start.is_relative_to(folder.resolve()) for folder in self._replaced()):
            raise InputError(
                f"--overwrite would remove {self.request.model.name}, which --from names: give another --output-dir"
            )

    def _lock(self) -> None:
        if not self._is_locked:
            self._stack.enter_context(locked(self.path))
            self._is_locked = True

    def _refuse_another_run(self) -> None:
        if not (self.path / RUN_FILE).is_file():
            if any((self.path / name).is_dir() and any((self.path / name).iterdir()) for name in TRAINED):
                raise InputError(
                    f"{self.path} has no {RUN_FILE}, which says what the run there was: restore it, or start over with "
                    "--overwrite"
                )
            return
        recorded = RecordedRun.read(self.path)
        recorded.refuse_edited()
        if recorded.other_versions():
            say(f"warning: the run in {self.path} began with other versions: {', '.join(recorded.other_versions())}")
        before = recorded.config
        if not self.request.adds_to_probe and not set(self.config.stages) <= set(before.stages):
            raise InputError(
                f"--resume: the run in {self.path} is of --stage {before.stage}, not {self.config.stage}; "
                "--stage finetune continues from a probe, and --overwrite starts over"
            )
        # A finished probe says nothing about how it is fine-tuned, but everything about images, labels and backbone.
        done = set() if self.config.resume and self.stage("finetune").checkpoints.exists() else {"finetune"}
        free = {"augmentation", "imbalance", "momentum", "probe", *done} if self.request.adds_to_probe else set()
        for name, (was, now) in _differences(before.to_dict(), self.config.to_dict()):
            if name.partition(".")[0] not in free:
                option, instead = ("--resume", "--overwrite") if self.config.resume else ("--output-dir", "another one")
                raise InputError(
                    f"{option}: the run in {self.path} has {name} {was!r}, not {now!r}; "
                    f"leave the option out, or start over with {instead}"
                )


def _differences(before: dict[str, Any], now: dict[str, Any], where: str = "") -> list[tuple[str, tuple[Any, Any]]]:
    """Return the options in which two configurations differ, with both values."""
    result: list[tuple[str, tuple[Any, Any]]] = []
    for key in {**before, **now}:
        was, value = before.get(key), now.get(key)
        name = where + key
        if isinstance(was, dict) and isinstance(value, dict):
            result += _differences(was, value, f"{name}.")
        elif was != value and key not in _FREE and not (name in _BY_PLACE and _same_place(name, was, value)):
            result.append((name, (was, value)))
    return result


def _same_place(name: str, was: Any, now: Any) -> bool:
    """Return whether two names of a dataset or a model name the same one; `refuse_other_data` looks into datasets."""
    if was is None or now is None:
        return False
    try:
        if name == "data.dataset":
            before, after = locate_dataset(str(was)), locate_dataset(str(now))
            return before.kind == after.kind == "folder" or before == after
        return locate_model(str(was)).same_place(locate_model(str(now)))
    except InputError:
        return False


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]

"""A run as its folder records it: configuration, splits, and the images that it trained on."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_cifar.config.recipes import PROVENANCE, read_yaml, read_yaml_with_provenance, to_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.run.environment import versions
from hf_cifar.run.origins import SplitOrigin
from hf_cifar.run.stage_folder import IMAGE_HASHES_FILE, RUN_FILE, SPLITS_FILE
from hf_cifar.utils.checksums import sha256_of

if TYPE_CHECKING:
    import numpy as np

# In the provenance of `run.yaml`: how the run knows its own description again.
OPTIONS_CHECKSUM = "options_sha256"
SPLITS_CHECKSUM = "splits_sha256"


@dataclass(frozen=True)
class RecordedSplit:
    """One of a run's splits, as `splits.json` has it.

    Attributes:
        split: the split of the source that the rows are of.
        fingerprint: of that split's content; None where an older version did not record it.
        rows: of that split, ascending.
    """

    split: str
    fingerprint: str | None
    rows: list[int]


@dataclass(frozen=True)
class RecordedRun:
    """A run that was started earlier.

    Attributes:
        folder: where it is now.
        config: its configuration; `output_dir` is `folder`.
    """

    folder: Path
    config: RunConfig

    @classmethod
    def of(cls, checkpoint: str) -> "RecordedRun | None":
        """Return the run that a checkpoint belongs to, or that it names; None if it is not a run's.

        Args:
            checkpoint: a folder (of a run, a stage, or a saved model) or a Hub id.

        Raises:
            InputError: its `run.yaml` is damaged.
        """
        path = Path(checkpoint).expanduser()
        if not path.is_dir():
            return None
        path = path.resolve() if str(path) in (".", "..") else path
        for folder in (path, path.parent, path.parent.parent):
            if (folder / RUN_FILE).is_file():
                return cls.read(folder)
        return None

    @classmethod
    def read(cls, folder: Path) -> "RecordedRun":
        """Read the run in a folder.

        Raises:
            InputError: its `run.yaml` is missing or damaged.
        """
        return cls(folder, replace(RunConfig.read(folder / RUN_FILE), output_dir=str(folder)))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Return what `run.yaml` records beside the options: data, fingerprints, versions."""
        values = read_yaml_with_provenance(self.folder / RUN_FILE).get(PROVENANCE)
        return values if isinstance(values, dict) else {}

    def refuse_edited(self) -> None:
        """Refuse a run whose description is not the one that it began with.

        Raises:
            InputError: `run.yaml` was edited, or `splits.json` edited or removed.
        """
        recorded = self.provenance.get(OPTIONS_CHECKSUM)
        if recorded is None:
            return  # an older version recorded none
        restore = "restore it, or start over with --overwrite"
        if checksum_of_options(read_yaml(self.folder / RUN_FILE)) != recorded:
            raise InputError(f"{self.folder / RUN_FILE} was edited after the run began: {restore}")
        if not self.splits:
            raise InputError(f"{self.folder / SPLITS_FILE} is missing: {restore}")

    def other_versions(self) -> list[str]:
        """Return the libraries that have another version now than when the run began, each with both versions."""
        before = self.provenance.get("versions")
        now = versions()
        if not isinstance(before, dict):
            return []
        return [f"{name} {before[name]} -> {now[name]}" for name in now if name in before and before[name] != now[name]]

    @cached_property
    def splits(self) -> dict[str, RecordedSplit]:
        """Return train, validation and test as the run split its data; empty where nothing was recorded.

        Raises:
            InputError: `splits.json` is damaged.
        """
        file = self.folder / SPLITS_FILE
        if not file.is_file():
            return {}
        recorded = self.provenance.get(SPLITS_CHECKSUM)
        if recorded is not None and sha256_of(file) != recorded:
            raise InputError(f"{file} was changed after the run began: restore it, or start over with --overwrite")
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            return {
                name: RecordedSplit(part["split"], part.get("fingerprint"), [int(row) for row in part["rows"]])
                for name, part in values.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file} is damaged ({str(error)[:100]}): restore it, or train again") from error

    @cached_property
    def split_origins(self) -> dict[str, SplitOrigin]:
        """Return where the images of each split come from; empty where an older version recorded words."""
        recorded = self.provenance.get("splits")
        if not isinstance(recorded, dict) or not all(isinstance(origin, dict) for origin in recorded.values()):
            return {}
        return {name: SplitOrigin.from_dict(origin) for name, origin in recorded.items()}

    def image_hashes(self, split: str) -> "np.ndarray | None":
        """Return the hashes of the images of train, validation or test, uint64, sorted; None where not recorded.

        Raises:
            InputError: the file is damaged.
        """
        import numpy as np

        file = self.folder / IMAGE_HASHES_FILE
        if not file.is_file():
            return None
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return np.asarray(arrays[split], dtype=np.uint64)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{file} is damaged ({str(error)[:100]}): restore it, or train again") from error


def checksum_of_options(values: dict[str, Any]) -> str:
    """Return the SHA-256 of a run's options, as `run.yaml` writes them, without the provenance."""
    return hashlib.sha256(to_yaml(values).encode()).hexdigest()

"""The export stage: a folder with the model and all that goes with it, which opens anywhere, and was checked."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hf_cifar.config.locate import MODEL_PLACES
from hf_cifar.config.parts import HubConfig
from hf_cifar.config.recipes import to_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import HubError, InputError
from hf_cifar.hub.check import TOLERANCE, check_answers, check_files
from hf_cifar.hub.export_state import Record, digest, digest_of
from hf_cifar.hub.local_paths import without_paths
from hf_cifar.run.stage_folder import EXAMPLES_FILE, METRICS_FILE, RUN_FILE, StageFolder
from hf_cifar.utils.files import folder_aside, write_json, write_text
from hf_cifar.utils.network import is_hub_id
from hf_cifar.utils.progress import say

CARD = "README.md"
MODEL_FILES = ("*.json", "*.safetensors")


@dataclass(frozen=True)
class Trained:
    """A model that can be exported.

    Attributes:
        model: the folder with its weights, configuration and processor.
        stage: of the run that made it; None for a folder that stands for itself, with a card of its own.
        export: where the exported folder goes.
    """

    model: Path
    stage: StageFolder | None
    export: Path

    @property
    def run(self) -> Path | None:
        """The folder of the run."""
        return self.stage.path.parent if self.stage else None


@dataclass(frozen=True)
class ExportResult:
    """What the export stage has come to.

    Attributes:
        export_dir: the folder.
        files: its files, by their names in it.
        bytes: of all files.
        images: how many images were answered the same there as by the stage.
        largest_difference: of a score, on them; None where an earlier check of the same files holds.
    """

    export_dir: Path
    files: list[str]
    bytes: int
    images: int
    largest_difference: float | None

    @property
    def status(self) -> int:
        """The exit status of the command line."""
        return 0

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""
        return {
            "stage": "export",
            "export_dir": str(self.export_dir),
            "files": len(self.files),
            "bytes": self.bytes,
            "images": self.images,
            "largest_difference": self.largest_difference,
        }


def run_export(config: RunConfig) -> ExportResult:
    """Export the model that `--checkpoint` names, or else the last stage of `--output-dir`.

    Raises:
        InputError: there is no such model, or its stage is not done.
        HubError: the folder did not pass the check; it is not left behind.
    """
    return export(find_trained(config), config.hub)


def find_trained(config: RunConfig) -> Trained:
    """What `--checkpoint` points at: a run (its last stage), a stage, or a model's folder; default: `--output-dir`.

    The export of a stage lies in the stage, that of a model without one in `--output-dir`, both as `export`.

    Raises:
        InputError: nothing is there, or a stage that is not done.
    """
    option = "--output-dir" if config.checkpoint is None else "--checkpoint"
    name = str(config.folder) if config.checkpoint is None else config.checkpoint
    path = Path(name).expanduser()
    if not path.is_dir():
        if is_hub_id(name.partition("@")[0]):
            raise InputError(f"{option} {name} is no folder; what is on the Hub already needs no export")
        raise InputError(f"{option} {name}: no such folder; --checkpoint names a run, a stage, or a model's folder")
    found = next((path / place for place in MODEL_PLACES if (path / place / "config.json").is_file()), None)
    if found is None:
        raise InputError(f"{option} {name} holds no saved model: give a run, one of its stages, or a model's folder")
    found = found if found.name else found.resolve()
    stage = StageFolder(found.parent)
    if found.name != "model" or not (stage.metrics.is_file() or stage.checkpoints.is_dir()):
        if not (found / CARD).is_file():
            raise InputError(f"{found} is of no run, and holds no {CARD}: there is nothing to say of the model")
        return Trained(found, None, config.folder / "export")
    return trained_stage(found.parent)


def trained_stage(path: Path) -> Trained:
    """A stage of a run, as `runs/NAME/finetune`.

    Raises:
        InputError: it is not done.
    """
    stage = StageFolder(path)
    if not stage.metrics.is_file():
        raise InputError(f"the stage in {path} is not done: the same command as before with --resume ends it")
    return Trained(stage.model, stage, path / "export")


def export(trained: Trained, hub: HubConfig, trust_earlier_check: bool = False) -> ExportResult:
    """Make the exported folder, check it, and put it in place.

    Args:
        trained: what is exported.
        hub: names the repository for the card, and the license.
        trust_earlier_check: not to open the model again where the same files have passed before.

    Raises:
        HubError: the folder did not pass the check; it is not left behind, and an older one stays.
    """
    target, record = trained.export, Record.of(trained.export)
    with folder_aside(target) as aside:
        _put_model(aside, trained)
        before = card_text(target)
        _put_card(aside, trained, hub, before)
        names = _names(aside)
        _put_additions(aside, target, record)
        examples = _examples(trained)
        opened = [file for pattern in MODEL_FILES for file in aside.glob(pattern) if file.name != METRICS_FILE]
        checked, worst = digest_of([*opened, *examples]), None
        try:
            check_files(aside, trained.run)
            if not (trust_earlier_check and record.checked == checked):
                worst = check_answers(aside, examples, trained.model, _measured_on_cpu(trained))
        except HubError as error:
            raise HubError(f"the export of {trained.model} did not pass its check: {error}") from error
        files = _names(aside)
    edited = before is not None and (record.edited or record.card not in (None, digest(before)))
    left = digest(card_text(target) or "")
    Record(checked, left, edited, names, record.pushed).write(target)
    size = sum((target / name).stat().st_size for name in files)
    say(f"exported: {target}, {len(files)} files, {megabytes(size)}")
    if worst is not None:
        say(f"checked: opens without hf_cifar, and gives the same scores (within {worst:.1g})")
        if worst > TOLERANCE:
            say("note: the scores in examples.json were computed on an accelerator, and these on the CPU")
    return ExportResult(target, files, size, len(examples), worst)


def megabytes(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def card_text(folder: Path) -> str | None:
    """The card in a folder."""
    file = folder / CARD
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _put_model(aside: Path, trained: Trained) -> None:
    """Weights, configuration, processor, and what was measured and how."""
    if trained.stage is None or trained.run is None:
        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(trained.model, aside, ignore=hidden, dirs_exist_ok=True)
        return
    for pattern in MODEL_FILES:
        for file in trained.model.glob(pattern):
            shutil.copyfile(file, aside / file.name)
    write_json(aside / METRICS_FILE, without_paths(trained.stage.done(), trained.run))
    run_file = trained.run / RUN_FILE
    if run_file.is_file():
        values = yaml.safe_load(run_file.read_text(encoding="utf-8"))
        write_text(aside / RUN_FILE, to_yaml(without_paths(values, trained.run)))


def _put_card(aside: Path, trained: Trained, hub: HubConfig, before: str | None) -> None:
    """The card, with what a person wrote in the one before, and what it shows."""
    from hf_cifar.hub.card import write_card

    if trained.stage is None:
        return  # it came with the model
    if before is not None:
        write_text(aside / CARD, before)
    write_card(trained.stage.path, aside, hub_model_id=hub.hub_model_id, license=hub.license)


def _put_additions(aside: Path, older: Path, record: Record) -> None:
    """The files that a person added to an older export."""
    if record.files:
        for name in set(_names(older)) - set(record.files) - set(_names(aside)):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(older / name, aside / name)


def _examples(trained: Trained) -> dict[Path, dict[str, float]]:
    """Images that the stage answered, and the scores that it gave them."""
    if trained.stage is None or not (trained.stage.examples / EXAMPLES_FILE).is_file():
        return {}
    folder = trained.stage.examples
    return {
        folder / example["file"]: {item["label"]: item["score"] for item in example["output"]}
        for example in json.loads((folder / EXAMPLES_FILE).read_text(encoding="utf-8"))
    }


def _measured_on_cpu(trained: Trained) -> bool:
    metrics = (trained.stage.done() if trained.stage else None) or {}
    return bool(metrics.get("hardware", {}).get("device", "cpu") == "cpu")


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

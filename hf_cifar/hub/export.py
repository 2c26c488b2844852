"""Export a model: a folder with everything that goes with it, which opens anywhere and was checked."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hf_cifar.config.options.hub import HubConfig
from hf_cifar.config.recipes import to_yaml
from hf_cifar.errors import HubError, InputError
from hf_cifar.formats.variants import DESCRIPTION_FILE
from hf_cifar.hub.additions import Additions
from hf_cifar.hub.check import TOLERANCE, calibrated_scores, check_files, check_predictions
from hf_cifar.hub.examples import read_examples
from hf_cifar.hub.export_state import ExportState, text_digest
from hf_cifar.hub.local_paths import without_paths
from hf_cifar.run.stage_folder import METRICS_FILE, RUN_FILE, StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.checksums import files_digest
from hf_cifar.utils.files import folder_aside, remove_leftovers, write_json, write_text
from hf_cifar.utils.formatting import file_size
from hf_cifar.utils.progress import say

CARD = "README.md"
MODEL_FILES = ("*.json", "*.safetensors")
LEFTOVER_AGE = 3600.0  # seconds; another export of the same model takes less


@dataclass(frozen=True)
class Trained:
    """A model that can be exported.

    Attributes:
        model: the folder with its weights, configuration and processor.
        stage: of the run that made it; None for a model without a run, which has a card of its own.
        export: where the exported folder goes.
    """

    model: Path
    stage: StageFolder | None
    export: Path

    @property
    def run(self) -> Path | None:
        """Return the folder of the run."""
        return self.stage.path.parent if self.stage else None

    @property
    def card(self) -> str | None:
        """Return the card in the exported folder, or None."""
        return read_card(self.export)


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    Attributes:
        export_dir: the exported folder.
        files: names of its files.
        bytes: of all files.
        images: example images whose predictions were compared.
        largest_difference: of a score on them; None where an earlier check of the same files was trusted.
        formats: the forms of the model that the folder holds.
        refused: those that were asked for and are not there, with the reason.
        temperature: that the head was divided by; None: scores are those of the model as it was trained.
    """

    export_dir: Path
    files: list[str]
    bytes: int
    images: int
    largest_difference: float | None
    formats: list[str]
    refused: dict[str, str]
    temperature: float | None

    @property
    def status(self) -> int:
        """Return the exit status of the command line: 0, or 1 where a form that was asked for is not there."""
        return int(bool(self.refused))

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        return {
            "stage": "export",
            "export_dir": str(self.export_dir),
            "files": len(self.files),
            "bytes": self.bytes,
            "images": self.images,
            "largest_difference": self.largest_difference,
            "formats": self.formats,
            "refused": self.refused,
            "temperature": self.temperature,
        }


def trained_stage(path: Path) -> Trained:
    """Return the model of a stage such as `runs/NAME/finetune`.

    Raises:
        InputError: the stage is not finished.
    """
    stage = StageFolder(path)
    if not stage.metrics.is_file():
        raise InputError(f"the stage in {path} is not finished: repeat its command with --resume")
    damage = stage.find_damage()
    if damage is not None:
        raise InputError(f"the stage in {path} is damaged ({damage}): train it again by its command with --resume")
    return Trained(stage.model, stage, path / "export")


def export(
    trained: Trained, hub: HubConfig, trust_earlier_check: bool = False, additions: Additions | None = None
) -> ExportResult:
    """Write the exported folder, check it, and move it into place.

    Args:
        trained: the model.
        hub: names the repository for the card, and the license.
        trust_earlier_check: skip opening the model where the same files passed before.
        additions: other forms of the model, and a divided head.

    Raises:
        HubError: the folder did not pass the check; it is removed, and an older one is kept.
    """
    target, state = trained.export, ExportState.read(trained.export)
    before, additions = trained.card, additions or Additions()
    if target.parent.is_dir():
        remove_leftovers(target.parent, target.name, age=LEFTOVER_AGE)
    with folder_aside(target) as aside:
        _write_model(aside, trained, additions)
        additions.write(aside)
        examples = _example_scores(trained, additions.temperature)
        _write_card(aside, trained, hub, before, additions, examples)
        names = _file_names(aside)
        _copy_kept(aside, target, state)
        measured = (METRICS_FILE, DESCRIPTION_FILE)
        opened = [file for pattern in MODEL_FILES for file in aside.glob(pattern) if file.name not in measured]
        checked, difference = files_digest([*opened, *examples]), None
        try:
            check_files(aside, trained.run)
            if not (trust_earlier_check and state.checked == checked):
                on_cpu = _was_measured_on_cpu(trained)
                difference = check_predictions(aside, examples, trained.model, on_cpu, additions.temperature)
        except HubError as error:
            raise HubError(f"the export of {trained.model} failed its check: {error}") from error
        files = _file_names(aside)
    edited = before is not None and (state.edited or state.card not in (None, text_digest(before)))
    card = text_digest(trained.card or "")
    ExportState(checked, card, edited, names, state.pushed, additions.state(target)).write(target)
    size = sum((target / name).stat().st_size for name in files)
    say(f"exported to {target}: {len(files)} files, {file_size(size)}")
    if difference is not None:
        say(f"check passed: opens without hf_cifar, scores match within {difference:.1g}")
        if difference > TOLERANCE:
            say("note: the scores were measured on an accelerator and checked on the CPU")
    return ExportResult(
        target,
        files,
        size,
        len(examples),
        difference,
        formats=additions.names,
        refused=additions.refused,
        temperature=additions.temperature,
    )


def read_card(folder: Path) -> str | None:
    """Return the text of the card in a folder, or None."""
    file = folder / CARD
    return file.read_text(encoding="utf-8") if file.is_file() else None


def read_exported_metrics(trained: Trained) -> StageMetrics | None:
    """Return the metrics in the exported folder, or None where there are none that can be read."""
    try:
        return StageMetrics.read(trained.export / METRICS_FILE)
    except InputError:
        return None


def _write_model(aside: Path, trained: Trained, additions: Additions) -> None:
    """Copy weights, configuration and processor, and describe the run without local paths."""
    if trained.stage is None or trained.run is None:
        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(trained.model, aside, ignore=hidden, dirs_exist_ok=True)
        return
    for pattern in MODEL_FILES:
        for file in trained.model.glob(pattern):
            shutil.copyfile(file, aside / file.name)
    metrics = trained.stage.read_metrics()
    if metrics is not None:
        write_json(aside / METRICS_FILE, without_paths(additions.applied_to(metrics).to_dict(), trained.run))
    run_file = trained.run / RUN_FILE
    if run_file.is_file():
        values = yaml.safe_load(run_file.read_text(encoding="utf-8"))
        write_text(aside / RUN_FILE, to_yaml(without_paths(values, trained.run)))


def _write_card(
    aside: Path,
    trained: Trained,
    hub: HubConfig,
    before: str | None,
    additions: Additions,
    examples: dict[Path, dict[str, float]],
) -> None:
    """Write the card with its pictures, keeping what a person wrote in the earlier one."""
    from hf_cifar.hub.card.card import write_card
    from hf_cifar.hub.card.data import ExportedForm

    if trained.stage is None:
        return  # it was copied with the model
    if before is not None:
        write_text(aside / CARD, before)
    scores = {file.name: values for file, values in examples.items()}
    write_card(
        trained.stage.path,
        aside,
        hub_model_id=hub.hub_model_id,
        license=hub.license,
        exported=ExportedForm(additions.formats, additions.temperature, scores),
    )


def _copy_kept(aside: Path, older: Path, state: ExportState) -> None:
    """Copy the files that a person added to an older export."""
    if state.files:
        for name in set(_file_names(older)) - set(state.files) - set(_file_names(aside)):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(older / name, aside / name)


def _example_scores(trained: Trained, temperature: float | None) -> dict[Path, dict[str, float]]:
    """Return the example images of the stage with the scores that it gave their labels, or at a temperature gives."""
    if trained.stage is None:
        return {}
    measured = {
        trained.stage.examples / example.file: {item.label: item.score for item in example.output}
        for example in read_examples(trained.stage)
    }
    if temperature is None or not measured:
        return measured
    return calibrated_scores(trained.model, measured, temperature, _was_measured_on_cpu(trained))


def _was_measured_on_cpu(trained: Trained) -> bool:
    metrics = trained.stage.read_metrics() if trained.stage else None
    return metrics is None or metrics.hardware is None or metrics.hardware.device == "cpu"


def _file_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

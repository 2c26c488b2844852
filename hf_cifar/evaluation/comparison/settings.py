"""The settings in which compared runs differ."""

from collections.abc import Sequence
from typing import Any

from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.run.recorded_run import RecordedRun
from hf_cifar.utils.formatting import MISSING, listed
from hf_cifar.utils.table import Table

# Where a run is and what it keeps on disk: no result depends on these.
WITHOUT_EFFECT = ("output_dir", "stage", "data.image_cache", "probe.feature_cache", "evaluation.robustness")
# Parts of a run's options that the results of a stage depend on, beside those of all stages.
PARTS = {"probe": ("probe",), "finetune": ("probe", "finetune")}
TRAINED = ("probe", "finetune")


def settings_table(runs: Sequence[ComparedRun]) -> Table:
    """Return the settings in which runs differ, a column a run; of an evaluation, those of its model's training.

    What only some stages have, such as the schedule of fine-tuning beside a probe, is no difference of settings.
    """
    columns = [_settings(run) for run in runs]
    known = [column for run, column in zip(runs, columns, strict=True) if _config(run) is not None] or columns
    names = [name for name in known[0] if all(name in column for column in known)]
    rows = [[name, *(column.get(name, MISSING) for column in columns)] for name in names]
    differing = [row for row in rows if len(set(row[1:])) > 1]
    return Table(["setting", *(run.name for run in runs)], differing, len(runs) + 1, "Settings that differ")


def without_settings(runs: Sequence[ComparedRun]) -> str | None:
    """Return of which runs the settings are not known; None where all are."""
    unknown = [run.name for run in runs if _config(run) is None]
    return f"Of {listed(unknown)} there is no run.yaml: the settings of training are not known." if unknown else None


def _settings(run: ComparedRun) -> dict[str, str]:
    """Return what a result depends on, by name, in words."""
    metrics = run.metrics
    values: dict[str, Any] = {"stage": metrics.stage, "model": metrics.model}
    config = _config(run)
    if config is not None:
        parts = PARTS.get(metrics.stage, TRAINED)
        for name, value in _flat(config.to_dict()).items():
            part = name.partition(".")[0]
            if name not in WITHOUT_EFFECT and (part not in TRAINED or part in parts):
                values[name] = value
    hardware = metrics.hardware
    values["device"] = hardware.device if hardware else None
    values |= {f"version of {name}": version for name, version in metrics.versions.items()}
    return {name: _shown(value) for name, value in values.items()}


def _config(run: ComparedRun) -> RunConfig | None:
    try:
        record = RecordedRun.of(run.model)
    except InputError:
        return None  # damaged; its metrics can be compared all the same
    return record.config if record is not None else None


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested values by their names; fields of TrainingArguments by those of their stage."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        full = before if name == "training" else f"{before}{name.rstrip('_')}"
        if isinstance(value, dict):
            flat |= _flat(value, full if full.endswith(".") else f"{full}.")
        else:
            flat[full] = value
    return flat


def _shown(value: Any) -> str:
    if value is None or value == []:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)

"""What an export has beside, or instead of, what lies in its model's folder."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_cifar.formats.model_files import weights_of
from hf_cifar.formats.variants import DESCRIPTION_FILE, FILES, MADE_FROM, NATIVE, files_of
from hf_cifar.run.format_metrics import FormatMetrics
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.checksums import files_digest
from hf_cifar.utils.files import write_json

# transformers.js reads it from config.json: the file that a browser takes where nothing is asked for.
BROWSER_DEFAULT = "transformers.js_config"
_BROWSER_NAMES = {"onnx-q8": "q8", "onnx": "fp32", "onnx-fp16": "fp16"}


@dataclass(frozen=True)
class Additions:
    """Other forms of the model, and a head that is divided by a temperature.

    Attributes:
        model: folder of the model with the divided head, which takes the place of the model's own; None: that one.
        temperature: that the head was divided by.
        forms: folder of the other forms, laid out as the exported one.
        formats: what was measured of them; None where none was asked for.
        made_from: what forms and measurements depend on; an export that asks for the same takes them as they are.
    """

    model: Path | None = None
    temperature: float | None = None
    forms: Path | None = None
    formats: FormatMetrics | None = None
    made_from: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Return the forms that the exported folder holds."""
        return [NATIVE, *(form.name for form in self.formats.exported)] if self.formats else [NATIVE]

    @property
    def refused(self) -> dict[str, str]:
        """Return the forms that were asked for and are not exported, with the reason."""
        return dict(self.formats.refused) if self.formats else {}

    def applied_to(self, metrics: StageMetrics) -> StageMetrics:
        """Return the metrics of a stage with what is another in the export."""
        return replace(metrics, formats=self.formats, head_divided_by=self.temperature)

    def write(self, folder: Path) -> None:
        """Write the forms, what they are, and the model with the divided head into an exported folder."""
        if self.model is not None:
            for file in weights_of(folder):
                file.unlink()
            for file in weights_of(self.model):
                shutil.copyfile(file, folder / file.name)
        if self.formats is None and self.model is None:
            return
        # Those of a folder that was exported before, and is exported again as a model without a run.
        for name in (*(file for form in FILES for file in files_of(form)), DESCRIPTION_FILE):
            (folder / name).unlink(missing_ok=True)
        self._set_browser_default(folder / "config.json")
        if self.formats is None or self.forms is None or not self.formats.exported:
            return
        for form in self.formats.exported:
            for name in files_of(form.name):
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(self.forms / name, folder / name)
        write_json(folder / DESCRIPTION_FILE, describe(self.formats, self.made_from.get("model")))

    def state(self, folder: Path) -> dict[str, Any]:
        """Return what is remembered of them beside the exported folder; nothing where there are none."""
        if self.formats is None and self.model is None:
            return {}
        return {
            "made_from": dict(self.made_from),
            "temperature": self.temperature,
            "formats": self.formats.to_dict() if self.formats else None,
            "digest": _digest(folder, self.formats, self.temperature),
        }

    @classmethod
    def from_state(cls, folder: Path, state: Mapping[str, Any]) -> "Additions | None":
        """Return those of an earlier export, or None where its files are not as they were left.

        Args:
            folder: the exported one.
            state: as `state` returned it.
        """
        try:
            temperature, made_from = state["temperature"], state["made_from"]
            formats = FormatMetrics.from_dict(state["formats"]) if state["formats"] else None
            if _digest(folder, formats, temperature) != state["digest"]:
                return None
        except (KeyError, TypeError, OSError):  # no state, one of another version, or files that are gone
            return None
        return cls(folder if temperature is not None else None, temperature, folder, formats, made_from)

    def _set_browser_default(self, config: Path) -> None:
        """Say which file a browser takes, where it is not the one of transformers.js for each kind of browser."""
        there = [name for name in _BROWSER_NAMES if name in self.names]
        before = json.loads(config.read_text(encoding="utf-8"))
        values = {name: value for name, value in before.items() if name != BROWSER_DEFAULT}
        if there and not {"onnx", "onnx-q8"} <= set(there):
            values[BROWSER_DEFAULT] = {"dtype": _BROWSER_NAMES[there[0]]}
        if values != before:
            write_json(config, values)


def _digest(folder: Path, formats: FormatMetrics | None, temperature: float | None) -> str:
    names = [name for form in (formats.exported if formats else []) for name in files_of(form.name)]
    return files_digest([*(folder / name for name in names), *(weights_of(folder) if temperature is not None else [])])


def describe(formats: FormatMetrics, made_from: str | None) -> dict[str, Any]:
    """Return what clients may want to know of each exported form, by its name.

    Args:
        formats: all of them.
        made_from: digest of the model as training left it.
    """
    measured = {
        "num_examples": formats.num_examples,
        "native_accuracy": formats.native.accuracy,
        MADE_FROM: made_from,
    }
    described = {}
    for form in formats.exported:
        values = asdict(form)
        del values["name"], values["fault"]
        described[form.name] = {**values, **measured}
    return described

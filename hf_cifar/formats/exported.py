"""Find the files of an exported model in one of its forms: in the export of a stage, in a folder, or on the Hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.config.locate import CONFIG_FILE, Location
from hf_cifar.errors import InputError
from hf_cifar.formats.model_files import model_digest
from hf_cifar.formats.variants import DESCRIPTION_FILE, FILES, MADE_FROM
from hf_cifar.utils.json_files import read_object

PROCESSOR_FILE = "preprocessor_config.json"
EXPORT = "export"  # beside the model of a stage


@dataclass(frozen=True)
class ExportedModel:
    """A model in one of its forms, as files.

    Attributes:
        form: one of `variants.FILES`.
        folder: that holds them, or a copy from the Hub.
        network: the file that a runtime opens.
        config: the content of config.json.
        processor: the content of preprocessor_config.json.
        title: of the model in messages.
    """

    form: str
    folder: Path
    network: Path
    config: dict[str, Any]
    processor: dict[str, Any]
    title: str

    @property
    def labels(self) -> dict[int, str]:
        """Return the label names by number.

        Raises:
            InputError: there are none.
        """
        names = self.config.get("id2label")
        if not isinstance(names, dict) or not names:
            raise InputError(f"{CONFIG_FILE} of {self.title} has no label names (id2label): export the model again")
        return {int(number): str(name) for number, name in names.items()}

    @property
    def largest_difference(self) -> float | None:
        """Return how far a score was from the native model's at most, where that was measured at the export."""
        found = _measured(self.folder, self.form, self.title).get("largest_score_difference")
        return float(found) if isinstance(found, (int, float)) else None

    @classmethod
    def find(cls, location: Location, form: str) -> "ExportedModel":
        """Find the files of a form of a model, downloading them from the Hub.

        Args:
            location: as `locate_checkpoint` finds it; of a stage's model, the export beside it is taken.
            form: one of `variants.FILES`.

        Raises:
            InputError: the form is missing, or was made from another model, and the command that makes it; or a file
                cannot be read or downloaded.
        """
        on_hub = location.kind == "hub"
        folder = _downloaded(location, form) if on_hub else _exported_folder(Path(location.name), form)
        network = folder / FILES[form]
        config, processor = (_read(folder / name, location.full_name) for name in (CONFIG_FILE, PROCESSOR_FILE))
        return cls(form, folder, network, config, processor, location.full_name)


def file_of(location: Location, name: str) -> Path | None:
    """Return a file that lies beside a model, from its folder or the Hub; None where there is none."""
    if location.kind != "hub":
        file = Path(location.name) / name
        return file if file.is_file() else None
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(location.name, name, revision=location.revision))
    except (OSError, ValueError):  # also where the Hub has no such file, or cannot be asked
        return None


def _exported_folder(model: Path, form: str) -> Path:
    """Return the folder that has a form: the export beside the model of a stage, or the model's own.

    Raises:
        InputError: there is none, or it was made from another model, such as that of an earlier training.
    """
    beside = model.parent / EXPORT
    stage = model.parent if model.name == "model" else model
    command = "hf-cifar --stage export --formats"
    for folder in (beside, model) if model.name == "model" else (model,):
        if not (folder / FILES[form]).is_file():
            continue
        made_from = _measured(folder, form, str(folder)).get(MADE_FROM) if folder != model else None
        if made_from is not None and made_from != model_digest(model):
            raise InputError(
                f"{folder / FILES[form]} was not made from what is in {model} now: repeat the export by "
                f"{command} {_as_exported(folder)} --checkpoint {stage}"
            )
        return folder
    raise InputError(f"{model} has no {FILES[form]}: make it by {command} {form} --checkpoint {stage}")


def _as_exported(folder: Path) -> str:
    """Return the options that export in the forms that a folder has already."""
    forms = ",".join(_read(folder / DESCRIPTION_FILE, str(folder)))
    divided = _read(folder / CONFIG_FILE, str(folder)).get("head_divided_by") is not None
    return f"{forms} --calibrate" if divided else forms


def _measured(folder: Path, form: str, title: str) -> dict[str, Any]:
    """Return what was measured of a form at its export; nothing where that is not known."""
    file = folder / DESCRIPTION_FILE
    found = _read(file, title).get(form) if file.is_file() else None
    return found if isinstance(found, dict) else {}


def _downloaded(location: Location, form: str) -> Path:
    """Download the files of a form from the Hub, and return the folder of the cache that holds them."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    network = FILES[form]
    weights = [str(Path(network).with_suffix(".bin"))] if network.endswith(".xml") else []
    for name in (CONFIG_FILE, PROCESSOR_FILE, network, *weights, DESCRIPTION_FILE):
        try:
            file = hf_hub_download(location.name, name, revision=location.revision)
        except LocalEntryNotFoundError as error:
            if name == DESCRIPTION_FILE:
                continue
            raise InputError(f"{name} of {location.full_name} is not cached, and the Hub cannot be reached") from error
        except EntryNotFoundError as error:
            if name == DESCRIPTION_FILE:
                continue
            advice = f"export the model with --formats {form} and push it, or use --backend torch"
            raise InputError(f"{location.full_name} has no {name} on the Hub: {advice}") from error
        except (HfHubHTTPError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{name} of {location.full_name} cannot be downloaded ({reason})") from error
        if name == CONFIG_FILE:
            folder = Path(file).parent
    return folder


def _read(file: Path, title: str) -> dict[str, Any]:
    return read_object(file, f"{file.name} of {title}")

"""What an export is to have beside the model's own files: made, or taken from an export that asked for the same."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError
from hf_cifar.formats.model_files import model_digest
from hf_cifar.formats.variants import refuse_missing_packages
from hf_cifar.hub.additions import Additions
from hf_cifar.hub.export import Trained
from hf_cifar.hub.export_state import ExportState
from hf_cifar.run.environment import versions
from hf_cifar.run.request import Request
from hf_cifar.utils.progress import say

RUNTIMES = ("onnx", "onnxruntime", "openvino")


@contextmanager
def additions_asked_for(trained: Trained, request: Request) -> Iterator[Additions]:
    """Yield the forms and the divided head that a request asks for; files that were made for it are removed afterwards.

    Raises:
        InputError: a package is missing, or the model has no temperature; or as the measuring raises it.
        HubError: the model does not give the predictions that its stage recorded.
    """
    asked = request.config.export
    variants = asked.variants
    if not variants and not asked.calibrate:
        yield Additions()
        return
    refuse_missing_packages(variants)
    temperature = _temperature_of(trained) if asked.calibrate else None
    made_from = _made_from(trained, request, temperature)
    state = ExportState.read(trained.export).forms
    earlier = Additions.from_state(trained.export, state) if state.get("made_from") == made_from else None
    if earlier is not None and not (earlier.formats and earlier.formats.not_made):
        say("the forms of the last export are as they were measured: nothing they depend on has changed")
        yield earlier
        return
    from hf_cifar.stages.measured_forms import make_additions  # torch, and what computes the metrics

    with tempfile.TemporaryDirectory(prefix="hf-cifar-forms-") as work:
        yield make_additions(trained, request, temperature, made_from, Path(work))


def additions_of_last_export(trained: Trained) -> Additions:
    """Return the forms and the divided head that the exported folder has already.

    Raises:
        InputError: they were made from another model, or their files were changed.
    """
    state = ExportState.read(trained.export).forms
    if not state:
        return Additions()
    earlier = Additions.from_state(trained.export, state)
    if earlier is None or earlier.made_from.get("model") != model_digest(trained.model):
        raise InputError(
            f"{trained.export} has other forms of the model (--formats, --calibrate), and the model, or they, were "
            "changed since: export it again, or leave them out with --formats native"
        )
    return earlier


def _temperature_of(trained: Trained) -> float:
    """Return the temperature that was fitted for a model on validation."""
    from hf_cifar.models.calibrate import DIVIDED_BY, TEMPERATURE

    config = json.loads((trained.model / "config.json").read_text(encoding="utf-8"))
    if config.get(DIVIDED_BY) is not None:
        raise InputError(f"--calibrate: the head of {trained.model} is divided by its temperature already")
    if config.get(TEMPERATURE) is None:
        raise InputError(
            f"--calibrate: {trained.model} has no temperature, which training fits on validation where there is a "
            "minimum: export it without"
        )
    return float(config[TEMPERATURE])


def _made_from(trained: Trained, request: Request, temperature: float | None) -> dict[str, Any]:
    """Return everything that forms, and what is measured of them, depend on, as JSON gives it back."""
    from importlib.metadata import PackageNotFoundError, version

    config = request.config
    installed = dict(versions())
    for name in RUNTIMES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "model": model_digest(trained.model),
        "variants": config.export.variants,
        "temperature": temperature,
        "max_accuracy_drop": config.export.max_accuracy_drop,
        "data": asdict(config.data) if config.export.variants else None,
        "seed": config.seed if config.export.variants else None,
        "versions": installed,
    }

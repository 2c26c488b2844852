"""What an export is asked for, judged before anything is done: forms of the model, and images to measure them on."""

from typing import Any

from hf_cifar.config.fields import construct, flag
from hf_cifar.config.layers import Layer
from hf_cifar.config.options.export import ExportConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError


def asks_for_variants(asked: Layer) -> bool:
    """Return whether forms beside the native one are asked for, which have to be measured.

    Raises:
        InputError: a form that does not exist.
    """
    values = asked.get("export")
    if not isinstance(values, dict) or values.get("formats") is None:
        return False
    config: ExportConfig = construct(ExportConfig, {"formats": values["formats"]}, "export.")
    return bool(config.variants)


def refuse_idle_measuring(given: Layer, stage: str, measures: bool) -> None:
    """Refuse options of a call that say how forms are measured where there is none beside the native one.

    Args:
        given: the options of the call.
        stage: export or push.
        measures: whether there is such a form.

    Raises:
        InputError: names the first of them.
    """
    names = [*given.get("data", {})]
    names += ["seed"] if "seed" in given else []
    names += ["max_accuracy_drop"] if "max_accuracy_drop" in given.get("export", {}) else []
    if names and not measures:
        raise InputError(
            f"{flag(names[0])} does nothing with --stage {stage} unless --formats names a form that is measured, such "
            "as onnx"
        )


def refuse_without_images(config: RunConfig, dataset: Any) -> None:
    """Refuse to measure forms of a model that belongs to no run where no dataset is named.

    Raises:
        InputError: there is nothing to measure on.
    """
    if dataset is None:
        raise InputError(
            f"--formats {','.join(config.export.variants)}: every form is measured, and the model belongs to no run "
            "whose test images are known: name a dataset with --dataset, or leave --formats out"
        )

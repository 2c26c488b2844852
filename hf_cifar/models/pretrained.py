"""Load configurations, image processors and classifiers with transformers' Auto classes, and never any code with them.

Every call of `from_pretrained` on a name or folder that a user gives is here: `trust_remote_code=False` has to be said
each time, since transformers otherwise asks at the terminal whether the code of a repository may run.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel

from hf_cifar.config.locate import Location
from hf_cifar.errors import InputError
from hf_cifar.models.weights import refuse_not_finite
from hf_cifar.run.stage_folder import damage_beside

MAIN = "main"


def load_config(location: Location, title: str | None = None, **changes: Any) -> Any:
    """Load the configuration of an image classifier.

    Args:
        location: a folder or a Hub id.
        title: of the location in messages; its full name by default.
        changes: values that replace those of the file.

    Raises:
        InputError: it cannot be read, only code beside it knows its architecture, or transformers has no image
            classifier of that.
    """
    try:
        config = AutoConfig.from_pretrained(location.name, **_source(location), **changes)
    except Exception as error:
        raise _refusal(title or location.full_name, "cannot be loaded", error) from error
    if type(config) not in AutoModelForImageClassification._model_mapping:
        raise InputError(
            f"{title or location.full_name} is a {config.model_type} model, which transformers has no image classifier "
            "for"
        )
    # It names code that is never run here, and that is missing beside a copy that is saved of this configuration.
    vars(config).pop("auto_map", None)
    return config


def load_processor(location: Location, title: str | None = None) -> Any:
    """Load the image processor that was saved with a model.

    Args:
        location, title: as of `load_config`.

    Raises:
        InputError: there is none, or it cannot be read, or only code beside it knows its kind.
    """
    try:
        processor = AutoImageProcessor.from_pretrained(location.name, **_source(location))
    except Exception as error:
        fault = (
            "has no image processor that can be read: save the one that it was trained with beside it as "
            "preprocessor_config.json"
        )
        raise _refusal(title or location.full_name, fault, error) from error
    vars(processor).pop("auto_map", None)
    return processor


def load_classifier(
    location: Location, config: Any = None, title: str | None = None
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load an image classifier in float32.

    Tensors that are missing, or of another shape than the model's, are left random; the caller judges them.

    Args:
        location, title: as of `load_config`.
        config: of the model, as `load_config` returns it; loaded by default.

    Returns:
        The model, and transformers' loading information: `missing_keys`, `unexpected_keys`, `mismatched_keys`.

    Raises:
        InputError: the configuration or the weights cannot be read, or are not those that a stage has saved.
    """
    config = load_config(location, title) if config is None else config
    damage = damage_beside(Path(location.name)) if location.kind == "folder" else None
    if damage is not None:
        raise InputError(f"{title or location.full_name} was changed after it was saved ({damage}): train it again")
    try:
        loaded: Any = AutoModelForImageClassification.from_pretrained(
            location.name,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **_source(location),
        )
    except Exception as error:
        raise _refusal(title or location.full_name, "cannot be loaded", error) from error
    model = loaded[0]
    statistics = [(name, buffer) for name, buffer in model.named_buffers() if "running_" in name]
    refuse_not_finite([*model.named_parameters(), *statistics], title or location.full_name)
    return loaded


def new_classifier(config: Any, title: str) -> PreTrainedModel:
    """Make an image classifier of a configuration, float32, with random weights.

    Raises:
        InputError: the architecture cannot be made, such as one of timm where timm is not installed.
    """
    config.dtype = torch.float32
    try:
        model: PreTrainedModel = AutoModelForImageClassification.from_config(config, trust_remote_code=False)
    except Exception as error:
        raise _refusal(title, "cannot be built", error) from error
    return model


def with_weights(model: PreTrainedModel, state: dict[str, torch.Tensor]) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Make a classifier of the same configuration with other weights, as `load_classifier` returns it.

    transformers loads them, since in some families, such as ViT, the names in a file are not those in memory.
    """
    loaded: Any = type(model).from_pretrained(
        None, config=model.config, state_dict=state, ignore_mismatched_sizes=True, output_loading_info=True
    )
    return loaded


def _source(location: Location) -> dict[str, Any]:
    return {"revision": location.revision or MAIN, "trust_remote_code": False}


def _refusal(title: str, fault: str, error: Exception) -> InputError:
    reason = " ".join((str(error) or type(error).__name__).split())
    if "trust_remote_code" in reason:
        return InputError(
            f"{title} works only with Python code of its own, which is never run here: choose a model of an "
            "architecture that transformers knows"
        )
    return InputError(f"{title} {fault} ({reason[:300]})")

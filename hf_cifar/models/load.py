"""A trained image classifier with the image processor that was saved beside it, ready to answer."""

from typing import Any

import torch
from transformers import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from hf_cifar.config.locate import Location
from hf_cifar.errors import InputError
from hf_cifar.utils.device import default_device, on_device
from hf_cifar.utils.progress import say


def load_checkpoint(location: Location, *, use_cpu: bool = False) -> tuple[PreTrainedModel, Any]:
    """Load a saved classifier as it is: its own head, its own label names, no code from the checkpoint.

    Args:
        location: a folder or a Hub id, as `locate_checkpoint` finds it.
        use_cpu: compute on the CPU even where there is an accelerator.

    Returns:
        the model, in float32 and eval mode, on the device to compute on, and its image processor.

    Raises:
        InputError: it is no image classifier, has no image processor, lacks trained weights, or cannot be read.
    """
    name = location.name
    # trust_remote_code=False: nothing of a checkpoint is run, and nobody is asked whether it may be.
    source: dict[str, Any] = {"revision": location.revision, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(name, **source)
    except Exception as error:
        raise InputError(f"{name} cannot be loaded: {_line(error)}") from error
    if not has_image_classifier(config):
        raise InputError(f"{name} is a {config.model_type} model, which transformers has no image classifier for")
    try:
        processor = AutoImageProcessor.from_pretrained(name, **source)
    except Exception as error:
        raise InputError(
            f"{name} has no image processor that can be read: save the one that it was trained with beside it as "
            f"preprocessor_config.json ({_line(error)[:100]})"
        ) from error
    try:
        model, info = AutoModelForImageClassification.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **source,
        )
    except Exception as error:
        raise InputError(f"{name} cannot be loaded: {_line(error)}") from error
    # A counter that only training reads; old checkpoints lack it.
    unfit = [str(key) for key in info["missing_keys"] if not str(key).endswith("num_batches_tracked")]
    unfit += [str(key[0]) for key in info["mismatched_keys"]]
    if unfit:
        raise InputError(
            f"{name} is no trained image classifier: {len(unfit)} tensors of {type(model).__name__} are not in it or "
            f"of another shape (such as {sorted(unfit)[0]}); --stage finetune --from {name} gives it a head"
        )
    names = model.config.id2label or {}
    if any(label == f"LABEL_{number}" for number, label in names.items()):
        say(f"warning: {name} has no label names, so its answers are LABEL_0 to LABEL_{len(names) - 1}")
    return on_device(model.eval(), default_device(use_cpu)), processor


def has_image_classifier(config: PreTrainedConfig) -> bool:
    """Return whether transformers has an image classifier of the family that a configuration is of."""
    return type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING


def _line(error: Exception) -> str:
    """What an exception says, in one line that is not too long."""
    return " ".join((str(error) or type(error).__name__).split())[:300]

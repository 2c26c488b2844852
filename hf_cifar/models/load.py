"""Load a trained image classifier and the image processor that was saved with it, ready to predict."""

from typing import Any

from transformers import PreTrainedModel

from hf_cifar.config.locate import Location
from hf_cifar.errors import InputError
from hf_cifar.models.pretrained import load_classifier, load_config, load_processor
from hf_cifar.utils.device import default_device, on_device
from hf_cifar.utils.progress import say


def load_checkpoint(location: Location, *, use_cpu: bool = False) -> tuple[PreTrainedModel, Any]:
    """Load a saved classifier with its own head and label names, and without running code from the checkpoint.

    Args:
        location: a folder or a Hub id, as `locate_checkpoint` finds it.
        use_cpu: compute on the CPU even where there is an accelerator.

    Returns:
        The model, in float32 and eval mode, on the device to compute on, and its image processor.

    Raises:
        InputError: it is not an image classifier, has no image processor, lacks trained weights, or cannot be read.
    """
    name = location.full_name
    config = load_config(location)
    processor = load_processor(location)
    model, info = load_classifier(location, config)
    # A counter that only training reads; old checkpoints lack it.
    unfit = [str(key) for key in info["missing_keys"] if not str(key).endswith("num_batches_tracked")]
    unfit += [str(key[0]) for key in info["mismatched_keys"]]
    if unfit:
        raise InputError(
            f"{name} is not a trained image classifier: {len(unfit)} tensors of {type(model).__name__} are missing or "
            f"of another shape (such as {sorted(unfit)[0]}); train its head with --stage finetune --from {name}"
        )
    names = model.config.id2label or {}
    if any(label == f"LABEL_{index}" for index, label in names.items()):
        say(f"warning: {name} has no label names; its predictions are LABEL_0 to LABEL_{len(names) - 1}")
    return on_device(model.eval(), default_device(use_cpu)), processor

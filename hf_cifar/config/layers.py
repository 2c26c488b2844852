"""Lay options over each other: recipe < run.yaml < file < command line.

A layer is a nested dictionary of options. Before layers are merged, each one is brought into one form: training
arguments go to the stage that they are for, and an option silences, in the layers below, whatever says the same thing
in another way (`--train-batch-size` and `--per-device-train-batch-size`).
"""

from copy import deepcopy
from typing import Any

from hf_cifar.config.fields import TRAINING, flag, merged, shortened
from hf_cifar.config.stages import STAGES
from hf_cifar.config.training_arguments import COMPUTE_ARGUMENTS, SHARED_TRAINING_ARGUMENTS, TRAIN_BATCH_SIZE
from hf_cifar.errors import InputError

Layer = dict[str, Any]
# Training arguments of which the one that is given last holds.
_TRAINING_RIVALS = (
    (TRAIN_BATCH_SIZE, "per_device_train_batch_size"),
    ("num_train_epochs", "max_steps"),
    ("bf16", "fp16"),
)
_TRAINED = ("probe", "finetune")
RIVALS = (
    *(
        (f"{stage}.{TRAINING}.{one}", f"{stage}.{TRAINING}.{other}")
        for stage in _TRAINED
        for one, other in _TRAINING_RIVALS
    ),
    ("probe.learning_rates", f"probe.{TRAINING}.learning_rate"),
    ("finetune.from_", "model.model"),
    ("finetune.from_", "model.weights"),
)


def lay_over(base: Layer, layer: Layer) -> Layer:
    """Return `base` with a layer laid over it; what the layer gives silences its rivals in `base`."""
    base = deepcopy(base)
    for pair in RIVALS:
        for given, silenced in (pair, pair[::-1]):
            if _get(layer, given) is not None:
                _remove(base, silenced)
    return merged(base, layer)


def distributed(layer: Layer, stage: str) -> Layer:
    """Return a layer with its `training` handed to the stages that it is for.

    Args:
        layer: training arguments stand under `training`; with lpft they go to the fine-tuning, and those that say how
            to compute (`SHARED_TRAINING_ARGUMENTS`) to both stages.
        stage: that is run.

    Raises:
        InputError: arguments that do nothing in the stage, or that hold the Hub's token.
    """
    layer = dict(layer)
    given = layer.pop(TRAINING, {})
    if not isinstance(given, dict):
        raise InputError(f"{TRAINING} must hold keys and values, not {shortened(given)}")
    if "hub_token" in given:
        raise InputError(
            "--hub-token is not an option, so that no token ends up in a file or in a list of processes: "
            "set HF_TOKEN, log in with `hf auth login`, or give --hub-token-file FILE"
        )
    trained = STAGES.get(stage, ("probe",))
    if not trained:
        idle = [name for name in given if name not in COMPUTE_ARGUMENTS[stage]]
        if idle:
            raise InputError(f"{flag(str(idle[0]))} does nothing with --stage {stage}: leave it out")
    shared = {name: value for name, value in given.items() if name in SHARED_TRAINING_ARGUMENTS}
    # A stage that trains nothing computes as fine-tuning would.
    last, *others = (trained or ("finetune",))[::-1]
    for section, arguments in ((last, given), *((other, shared) for other in others)):
        if arguments:
            layer = merged({section: {TRAINING: arguments}}, layer)
    return layer


def rivals_in(layer: Layer) -> tuple[str, str] | None:
    """Return the flags of two options of one layer that say the same thing, where it matters; None if there are none.

    Of the batch sizes the one of a process wins, as documented.
    """
    for first, second in RIVALS[-3:]:
        if _get(layer, first) is not None and _get(layer, second) is not None:
            return flag(first.rpartition(".")[2]), flag(second.rpartition(".")[2])
    return None


def _get(layer: Layer, path: str) -> Any:
    value: Any = layer
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _remove(layer: Layer, path: str) -> None:
    *parents, last = path.split(".")
    for key in parents:
        layer = layer.get(key, {})
        if not isinstance(layer, dict):
            return
    layer.pop(last, None)


def combined(layers: list[Layer]) -> Layer:
    """Return layers as one, each laid over those before it."""
    result: Layer = {}
    for layer in layers:
        result = lay_over(result, layer)
    return result


def last_given(layers: list[Layer], name: str) -> Any:
    """Return the value of a top-level option in the highest layer that gives it."""
    return next((layer[name] for layer in reversed(layers) if layer.get(name) is not None), None)


def value_in(layer: Layer, section: str, name: str) -> Any:
    """Return an option of a part of the configuration, or None where a layer does not give it."""
    values = layer.get(section)
    return values.get(name) if isinstance(values, dict) else None


def text_of(name: str, value: Any) -> str:
    """Return a value that must be text, or a number that stands for it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise InputError(f"{flag(name)} is {value!r}: it must be a name or a path")
    if "\0" in str(value):
        raise InputError(f"{flag(name)} holds a null character: it must be a name or a path")
    return str(value)


def compute_only(layer: Layer, stage: str) -> Layer:
    """Return a file's layer with no more of its training arguments than a stage that trains nothing can use."""
    arguments = layer.get(TRAINING)
    if not isinstance(arguments, dict):
        return layer
    kept = {name: value for name, value in arguments.items() if name in COMPUTE_ARGUMENTS[stage]}
    return {**layer, TRAINING: kept}

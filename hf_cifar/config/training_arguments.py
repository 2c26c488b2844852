"""The fields of `transformers.TrainingArguments` as options: ours, those of both stages, their ranges, their extras.

Light on purpose: a request is judged before transformers is imported.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from hf_cifar.config.fields import Range, Usual, above, at_least, between, flag, shortened
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError, unknown_name

# A training argument of ours: the images of a batch over all processes.
TRAIN_BATCH_SIZE = "train_batch_size"
REPORT_TO = "report_to"
# Those that `--help` tells, as options of ours (`fields.Usual`): what stands for the value, and how it is shown.
TOLD: dict[str, tuple[str, Usual]] = {
    "learning_rate": (
        "N",
        Usual(
            "training",
            "of fine-tuning; for a probe, one head at a constant rate instead of a grid (--lr)",
            in_stages={
                "finetune": "of the fine-tuning (--lr)",
                "lpft": "of the fine-tuning (--lr); of the probe: --probe-learning-rate",
                "probe": "of one head, at a constant rate, instead of a grid (--lr)",
            },
        ),
    ),
    "num_train_epochs": ("N", Usual("training", "passes over the training images (--epochs)")),
    TRAIN_BATCH_SIZE: ("N", Usual("training", "images in a step, over all processes")),
    REPORT_TO: ("NAME …", Usual("results", "log to tensorboard, trackio, mlflow, wandb, or several of them")),
    "use_cpu": ("", Usual("", "compute on the CPU even where there is an accelerator")),
    "dataloader_num_workers": ("N", Usual("", "processes that load images")),
}
# What says how to compute, not what: given with lpft, it holds in both of its stages.
SHARED_TRAINING_ARGUMENTS = (
    "use_cpu",
    "full_determinism",
    "data_seed",
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "dataloader_prefetch_factor",
    "ddp_backend",
    "ddp_timeout",
    "disable_tqdm",
    REPORT_TO,
    "tf32",
)
# What does something in a stage that trains nothing.
COMPUTE_ARGUMENTS: dict[str, tuple[str, ...]] = {
    **{stage: () for stage, trained in STAGES.items() if not trained},
    "audit": ("use_cpu", "dataloader_num_workers", "disable_tqdm"),
    "evaluate": ("use_cpu", "dataloader_num_workers", "disable_tqdm"),
    "predict": ("use_cpu", "disable_tqdm"),
    "compare": ("use_cpu",),
    "demo": ("use_cpu",),
    "export": ("disable_tqdm",),
    "push": ("disable_tqdm",),
}
# Loader processes beyond four a core only cost memory.
MAX_WORKERS = max(8, 4 * (os.cpu_count() or 1))
_BELOW_ONE = Range(0, 1, open_high=True)
RANGES: dict[str, Range] = {
    TRAIN_BATCH_SIZE: between(1, 2**20),
    "per_device_train_batch_size": between(1, 2**20),
    "per_device_eval_batch_size": between(1, 2**20),
    "num_train_epochs": above(0),
    "max_steps": at_least(1),
    "learning_rate": above(0),
    "weight_decay": at_least(0),
    "warmup_steps": at_least(0),
    "gradient_accumulation_steps": at_least(1),
    "max_grad_norm": at_least(0, "0 switches clipping off"),
    "label_smoothing_factor": _BELOW_ONE,
    "adam_beta1": _BELOW_ONE,
    "adam_beta2": _BELOW_ONE,
    "adam_epsilon": above(0),
    "logging_steps": above(0),
    "save_steps": above(0),
    "save_total_limit": at_least(1),
    "dataloader_num_workers": between(0, MAX_WORKERS, "four a core of this machine at most"),
    "dataloader_prefetch_factor": between(1, 1024),
    "data_seed": between(0, 2**64 - 1),
    "ddp_timeout": at_least(1),
}
_WHOLE = {
    TRAIN_BATCH_SIZE,
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "max_steps",
    "gradient_accumulation_steps",
    "save_total_limit",
    "dataloader_num_workers",
    "dataloader_prefetch_factor",
    "data_seed",
    "ddp_timeout",
}
# What --report-to names: the packages of which one must be installed, and what to install.
TRACKERS: dict[str, tuple[tuple[str, ...], str]] = {
    "tensorboard": (("tensorboard", "tensorboardX"), "tensorboard"),
    "wandb": (("wandb",), "wandb"),
    "mlflow": (("mlflow",), "mlflow"),
    "trackio": (("trackio",), "trackio"),
    "comet_ml": (("comet_ml",), "comet_ml"),
    "clearml": (("clearml",), "clearml"),
    "dvclive": (("dvclive",), "dvclive"),
    "neptune": (("neptune",), "neptune"),
    "swanlab": (("swanlab",), "swanlab"),
    "codecarbon": (("codecarbon",), "codecarbon"),
}
ALONE = ("none", "all")  # names beside which no other stands


def with_trackers_listed(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return training arguments with the names of `--report-to` as a list, each once.

    Args:
        arguments: `report_to` is a name, several separated by commas, or a list of these.
    """
    given = arguments.get(REPORT_TO)
    if given is None:
        return arguments
    names = [name.strip() for item in (given if isinstance(given, list) else [given]) for name in str(item).split(",")]
    return {**arguments, REPORT_TO: list(dict.fromkeys(name for name in names if name))}


def check_training_arguments(arguments: dict[str, Any], prefix: str = "") -> None:
    """Refuse values that no training can use, before anything heavy is imported.

    Args:
        arguments: fields of TrainingArguments, and `train_batch_size`.
        prefix: of their flags: `probe_` where a flag without it is that of another stage.

    Raises:
        InputError: a number of another type or outside of its range, or a tracker whose package is missing.
    """
    for name, value in arguments.items():
        limits = RANGES.get(name)
        if limits is not None and value is not None:
            option = flag(prefix + name)
            limits.check(option, _number(name, option, value))
    _check_trackers(arguments.get(REPORT_TO) or ())


def _number(name: str, option: str, value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            raise InputError(f"{option} is {shortened(value)}: it must be a number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{option} is {shortened(value)}: it must be a number")
    if name in _WHOLE and not (isinstance(value, int) or value.is_integer()):
        raise InputError(f"{option} is {value}: it must be a whole number")
    return value


def _check_trackers(names: Sequence[str]) -> None:
    for name in names:
        if name in ALONE:
            if len(names) > 1:
                raise InputError(f"--report-to {' '.join(names)}: {name} stands alone, leave it or the others out")
            continue
        if name not in TRACKERS:
            raise unknown_name("tracker for --report-to", name, [*TRACKERS, *ALONE])
        modules, package = TRACKERS[name]
        if not any(find_spec(module) for module in modules):
            raise InputError(f"--report-to {name} needs a package that is not installed: pip install {package}")

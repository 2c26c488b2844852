"""Other names of options: those that are taken, and those whose meaning is suggested. Light: no torch here."""

from collections.abc import Callable
from typing import Any

from hf_cifar.config.fields import TRAINING, flag, merged
from hf_cifar.config.run_config import flags
from hf_cifar.config.stages import STAGES
from hf_cifar.config.training_arguments import TRAIN_BATCH_SIZE
from hf_cifar.errors import InputError, hint

# What people type, and the option that it is.
ALIASES = {
    "lr": "learning_rate",
    "epochs": "num_train_epochs",
    "num_epochs": "num_train_epochs",
    "wd": "weight_decay",
    "model_name": "model",
    "model_name_or_path": "model",
    "dataset_name": "dataset",
}
# Names of other tools that are not the same thing, or not always: they are suggested, and not taken.
MEANT = {
    **dict.fromkeys(("arch", "architecture", "backbone", "net", "network", "base_model", "model_id"), "model"),
    **dict.fromkeys(("data", "data_dir", "train_dir", "dataset_path", "data_path", "train_data", "input"), "dataset"),
    **dict.fromkeys(("pretrained", "pretrained_model", "init"), "weights"),
    **dict.fromkeys(
        ("out", "out_dir", "save_dir", "save_path", "project", "run_dir", "logdir", "log_dir"), "output_dir"
    ),
    **dict.fromkeys(("ckpt", "model_path", "load", "load_from"), "checkpoint"),
    **dict.fromkeys(("force", "exist_ok", "overwrite_output_dir"), "overwrite"),
    **dict.fromkeys(("img_size", "imgsz", "input_size", "resolution", "crop_size", "size"), "image_size"),
    **dict.fromkeys(("val_split", "validation_split", "valid_pct", "val_size", "train_val_split"), "val_fraction"),
    **dict.fromkeys(("workers", "num_workers", "n_workers", "jobs"), "dataloader_num_workers"),
    **dict.fromkeys(("optimizer", "opt"), "optim"),
    **dict.fromkeys(("lr_schedule", "lr_scheduler", "sched", "schedule", "lr_scheduler_type"), "scheduler"),
    **dict.fromkeys(("patience", "early_stopping_patience", "early_stop"), "early_stopping"),
    **dict.fromkeys(("warmup", "warmup_ratio", "warmup_epochs"), "warmup_steps"),
    **dict.fromkeys(("aug", "augmentation", "augmentations", "transforms"), "augment"),
    **dict.fromkeys(("smoothing", "label_smoothing"), "label_smoothing_factor"),
    **dict.fromkeys(("grad_accum", "accumulation_steps", "grad_accumulation"), "gradient_accumulation_steps"),
    **dict.fromkeys(("clip_grad", "grad_clip", "gradient_clip_val"), "max_grad_norm"),
    **dict.fromkeys(("amp", "mixed_precision", "precision"), "bf16"),
    **dict.fromkeys(("cpu", "no_cuda", "device", "gpu", "gpus"), "use_cpu"),
    **dict.fromkeys(("labels", "target", "target_column", "y"), "label_column"),
    **dict.fromkeys(("image", "files", "file", "source"), "images"),
    **dict.fromkeys(("freeze", "freeze_backbone", "trainable_layers"), "unfreeze"),
    **dict.fromkeys(("k", "topk", "num_labels"), "top_k"),
    **dict.fromkeys(("random_state", "random_seed", "manual_seed"), "seed"),
    **dict.fromkeys(("repo", "repo_id", "hub_id", "repository"), "hub_model_id"),
    **dict.fromkeys(("push", "upload"), "push_to_hub"),
    **dict.fromkeys(("max_samples", "limit", "num_samples", "subset"), "max_train_samples"),
    **dict.fromkeys(("logger", "tracker", "wandb", "tensorboard"), "report_to"),
    **dict.fromkeys(("task", "mode", "command"), "stage"),
}
_PROBE = "probe_"


def canonical(name: str) -> str:
    """Return the option that a name with underscores is: `learning_rate` for `lr`, likewise after `probe_`."""
    if name.startswith(_PROBE) and name[len(_PROBE) :] in ALIASES:
        return _PROBE + ALIASES[name[len(_PROBE) :]]
    return ALIASES.get(name, name)


def with_canonical_names(options: dict[str, Any]) -> dict[str, Any]:
    """Return options under their own names.

    Raises:
        InputError: an option is given under two names.
    """
    result: dict[str, Any] = {}
    for name, value in options.items():
        own = canonical(name)
        if own in result:
            raise InputError(f"{name} is given twice: it is another name of {own}")
        result[own] = value
    return result


def meant(name: str, known: list[str], spelled: Callable[[str], str] = flag) -> str:
    """Return `did you mean '…'? ` for a name that is no option: what it means elsewhere, or else the nearest.

    Args:
        name: with underscores, without dashes.
        known: every option, likewise.
        spelled: how an option is written; by default as a flag.
    """
    if MEANT.get(name) in known:
        return f"did you mean {spelled(MEANT[name])!r}? "
    return hint(spelled(name), [spelled(other) for other in known])


def batch_size_of_stage(given: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return nested options with `batch_size`, in a stage that trains, as the batch size of the training.

    Raises:
        InputError: both are given.
    """
    section = flags()["batch_size"][0] or ""
    part = given.get(section)
    if not STAGES[stage] or not isinstance(part, dict) or "batch_size" not in part:
        return given
    if TRAIN_BATCH_SIZE in (given.get(TRAINING) or {}):
        raise InputError(f"--batch-size and {flag(TRAIN_BATCH_SIZE)} are the same in training: give one of them")
    others = {name: value for name, value in part.items() if name != "batch_size"}
    rest = {name: value for name, value in given.items() if name != section} | ({section: others} if others else {})
    return merged(rest, {TRAINING: {TRAIN_BATCH_SIZE: part["batch_size"]}})

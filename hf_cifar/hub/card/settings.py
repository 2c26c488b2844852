"""The training settings of each stage, side by side."""

import math
from typing import Any

from hf_cifar.config.training_arguments import TRAIN_BATCH_SIZE
from hf_cifar.hub.card.data import CardData, TrainedStage
from hf_cifar.hub.card.markdown import code, plain
from hf_cifar.run.train_summary import FinetuneSummary, ProbeSummary
from hf_cifar.utils.formatting import MISSING, duration
from hf_cifar.utils.table import Table

TITLES = {"probe": "Linear probe", "finetune": "Fine-tuning"}


def settings(data: CardData) -> str:
    """Return the settings of the model's stages as a table with a column a stage, defaults included."""
    columns = [_settings(data, stage) for stage in data.stages]
    names = dict.fromkeys(name for column in columns[::-1] for name in column)
    rows = [[name, *(column.get(name, MISSING) for column in columns)] for name in names]
    return Table(["", *(TITLES[stage.name] for stage in data.stages)], rows, 1 + len(columns)).markdown(escaped=False)


def _settings(data: CardData, stage: TrainedStage) -> dict[str, str]:
    train = stage.train
    training = data.config.probe.training if stage.name == "probe" else data.config.finetune.training
    rows = _of_finetune(data, train) if isinstance(train, FinetuneSummary) else _of_probe(data, train)
    if not (isinstance(train, ProbeSummary) and train.solver == "lbfgs"):
        rows |= _optimization(data, stage, training)
    mixed = next((name for name in ("bf16", "fp16") if training.get(name)), None)
    rows["Precision"] = f"{mixed} mixed precision" if mixed else "float32"
    rows["Seed"] = str(stage.metrics.seed)
    rows["Time"] = duration(train.seconds) + (f" in {train.processes} processes" if train.processes > 1 else "")
    rows["Peak memory"] = f"{math.ceil(train.peak_memory_mb):,} MB" if train.peak_memory_mb else MISSING
    return rows


def _of_probe(data: CardData, train: ProbeSummary) -> dict[str, str]:
    probe, training = data.config.probe, data.config.probe.training
    rows = {"Trained": f"linear head only: {_parameters(train)}", "BatchNorm statistics": "frozen"}
    if train.solver == "lbfgs":
        rows["Solver"] = "L-BFGS, L2-regularized logistic regression"
        rows["L2 strength"] = _chosen(train.chosen.strength, probe.strengths)
        return rows
    given = "learning_rate" in training
    rows["Learning rate"] = _chosen(train.chosen.learning_rate, [] if given else probe.learning_rates)
    schedule = training.get("lr_scheduler_type", "constant" if given else "cosine")
    return rows | {"Schedule": plain(schedule) + _warmup(training)}


def _of_finetune(data: CardData, train: FinetuneSummary) -> dict[str, str]:
    options = data.config.finetune
    layers = {
        "all": "all layers",
        "gradual": f"head and last layer group first, one more group {_every(options.unfreeze_every)}",
    }.get(options.unfreeze, f"{', '.join(code(name) for name in options.layers)} and the head")
    rate = f"{train.learning_rate:g}" + (f", head {options.head_lr:g}" if options.head_lr is not None else "")
    rate += f", layer-wise decay {options.layer_decay:g}" if options.layer_decay != 1 else ""
    schedule = {
        "step": f"times {options.gamma:g} {_every(options.step_size)}",
        "plateau": f"times {options.gamma:g} after {options.plateau_patience} epochs without a better validation "
        f"{options.selection_metric}",
    }.get(options.scheduler, options.scheduler)
    rows = {
        "Trained": f"{layers}: {_parameters(train)}",
        "BatchNorm statistics": {"eval": "frozen", "train": "updated"}[options.bn],
        "Learning rate": rate,
        "Schedule": schedule + _warmup(options.training),
    }
    if options.ema:
        rows["Weight averaging"] = f"exponential, decay {options.ema:g}"
    if train.chosen.interpolation is not None:
        how = ", chosen on validation" if options.interpolate == "auto" else ""
        rows["Weight interpolation"] = f"{train.chosen.interpolation:g} (0: starting weights, 1: fine-tuned{how})"
    if smoothing := options.training.get("label_smoothing_factor"):
        rows["Label smoothing"] = f"{smoothing:g}"
    return rows


def _optimization(data: CardData, stage: TrainedStage, training: dict[str, Any]) -> dict[str, str]:
    train, options = stage.train, data.config.finetune
    default = train.optimizer if isinstance(train, FinetuneSummary) else "adamw_torch"
    optimizer = str(training.get("optim", default)).rpartition(".")[2].lower()
    decay, clip = float(training.get("weight_decay", 0)), float(training.get("max_grad_norm", 1.0))
    matrices = ", not on biases and norms" if stage.name == "finetune" else ""
    asked, epochs = training.get("num_train_epochs"), train.epochs or 0
    words = f"{epochs:g}" + (f" of {float(asked):g}" if asked is not None and float(asked) != epochs else "")
    if train.chosen.epoch is not None:
        metric = plain(train.chosen.metric or options.selection_metric)
        words += f", epoch {train.chosen.epoch:g} kept (best validation {metric})"
    if stage.name == "finetune" and options.early_stopping:
        words += f", early stopping after {options.early_stopping}"
    return {
        "Optimizer": code(optimizer, in_table=True) + (f", momentum {data.config.momentum:g}" * (optimizer == "sgd")),
        "Weight decay": f"{decay:g}{matrices}" if decay else "none",
        "Gradient clipping": f"norm {clip:g}" if clip else "none",
        "Batch size": _batch_size(training, train.processes),
        "Epochs": words,
    }


def _chosen(value: float | None, candidates: list[float]) -> str:
    if len(candidates) < 2:
        return f"{value:g}"
    return f"{value:g}, chosen on validation from {', '.join(f'{item:g}' for item in candidates)}"


def _parameters(train: ProbeSummary | FinetuneSummary) -> str:
    frozen = train.total_parameters - train.trainable_parameters
    return f"{train.trainable_parameters:,} parameters" + (f" ({frozen:,} frozen)" if frozen else "")


def _every(epochs: int) -> str:
    return "every epoch" if epochs == 1 else f"every {epochs} epochs"


def _batch_size(training: dict[str, Any], processes: int) -> str:
    steps = int(training.get("gradient_accumulation_steps", 1))
    if "per_device_train_batch_size" in training or TRAIN_BATCH_SIZE not in training:
        size = str(int(training.get("per_device_train_batch_size", 8)) * processes)
    else:
        size = str(training[TRAIN_BATCH_SIZE])
    return size + (f", gradient accumulation over {steps} batches" if steps > 1 else "")


def _warmup(training: dict[str, Any]) -> str:
    steps = float(training.get("warmup_steps") or training.get("warmup_ratio") or 0)
    if not steps:
        return ""
    return f", warm-up over {100 * steps:g}% of the steps" if steps < 1 else f", {steps:g} warm-up steps"

"""How a model was trained, as its card says it: the settings of each stage, and the command that repeats the run."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

from hf_cifar.config.fields import flag
from hf_cifar.config.locate import DATASET_NAMES, MODEL_NAMES
from hf_cifar.config.run_config import SHARED_TRAINING_ARGUMENTS, TRAIN_BATCH_SIZE, RunConfig, flags
from hf_cifar.hub.card.data import CardData, StageData
from hf_cifar.hub.card.markdown import code, plain

# Training arguments that change nothing of the model: where logs and checkpoints go, how images are read.
_NOISE = re.compile(
    r"output_dir|run_name|report_to|project|trackio.*|disable_tqdm|log_.*|logging_.*|save_total_limit|hub_.*|"
    r"push_to_hub.*|dataloader_.*|ddp_.*|include_.*|skip_memory_metrics|overwrite_output_dir"
)
_SECRET = re.compile(r"token|secret|password|api_?key", re.IGNORECASE)
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
# Fields that the command always names, or that say where files of this machine are.
_APART = ("stage", "recipe", "output_dir", "resume", "overwrite", "feature_cache")
_PLACES = ("dataset", "model", "weights", "from_")
PLACEHOLDER = "PATH/TO/"
_WIDTH = 100


def settings(data: CardData, stage: StageData) -> list[tuple[str, str]]:
    """What a reader wants to know of a stage's training, as pairs of Markdown, defaults included."""
    training = getattr(data.config, stage.name).training
    rows = _of_probe(data, stage) if stage.name == "probe" else _of_finetune(data, stage)
    rows.append(("Precision", _precision(training)))
    rows.append(("Seed", str(stage.metrics["seed"])))
    total, trained = (stage.metrics["train"][f"{which}_parameters"] for which in ("total", "trainable"))
    frozen = f"; {total - trained:,} frozen" if trained < total else "; none frozen"
    rows.append(("Parameters", f"{trained:,} of {total:,} trained{frozen}"))
    return rows


def non_defaults(data: CardData) -> list[tuple[str, str, str, str]]:
    """Every option of the model's stages that is not the package's default.

    Returns:
        Markdown: the flag, what it is for, its value, and who gave it.
    """
    config, recipe, default = data.config, _recipe(data), RunConfig()
    by_recipe = f"recipe {code(config.recipe, cell=True)}"
    titles = {stage.name: "probe" if stage.name == "probe" else "fine-tuning" for stage in data.stages}
    idle = {"strengths" if config.probe.solver == "trainer" else "learning_rates"}
    rows = []
    for name, (part, _) in flags().items():
        if name in (*_APART, *idle) or part not in (None, "data", "model", "augmentation", *titles):
            continue
        value = _value(config, part, name)
        if value != _value(default, part, name):
            giver = by_recipe if value == _value(recipe, part, name) else "this run"
            shown = code(_shown(data, name, value), cell=True)
            rows.append((code(flag(name)), titles.get(part or "", "all"), shown, giver))
    for stage, title in titles.items():
        ours, theirs = (getattr(one, stage).training for one in (config, recipe))
        for name, value in sorted(_kept(ours).items()):
            giver = by_recipe if value == theirs.get(name) else "this run"
            shown = code(_shown(data, name, value), cell=True)
            rows.append((code(_training_flag(config, stage, name)), title, shown, giver))
    return rows


def command(data: CardData) -> str:
    """The command that repeats the run, for a shell; what was local is named `PATH/TO/…`."""
    config, recipe = data.config, _recipe(data)
    words = [["--stage", config.stage], ["--recipe", str(config.recipe)], *_places(data)]
    for name, (part, _) in flags().items():
        if name in (*_APART, *_PLACES) or part in ("prediction", "comparison", "hub"):
            continue
        value = _value(config, part, name)
        if name == "dataset_revision" and data.dataset_id:
            value = data.stage.metrics["dataset"]["revision"] or value
        if value == _value(recipe, part, name) or value is None:
            continue
        if isinstance(value, bool):
            words.append([flag(name) if value else flag("no_" + name)])
        else:
            words.append([flag(name), _shown(data, name, value)])
    words += _training_words(data, recipe)
    return _wrapped([*words, ["--output-dir", f"runs/{config.folder.name}"]])


def command_of_file(data: CardData) -> str:
    """The same by the run's own file of settings."""
    local = [group for group in _places(data) if group[1].startswith(PLACEHOLDER)]
    return _wrapped([["--config", "run.yaml"], *local, ["--output-dir", "runs/again"]])


def is_secret(name: str, value: Any) -> bool:
    """Whether a setting is, or may be, a credential."""
    if isinstance(value, dict):
        return bool(_SECRET.search(name)) or any(is_secret(str(key), item) for key, item in value.items())
    tokens = {os.environ.get(key) for key in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")} - {
        None,
        "",
    }
    return bool(_SECRET.search(name) or _TOKEN.search(str(value)) or any(str(token) in str(value) for token in tokens))


def _of_probe(data: CardData, stage: StageData) -> list[tuple[str, str]]:
    probe, train = data.config.probe, stage.metrics["train"]
    training = probe.training
    cached = "computed once and kept" if probe.features == "cached" else "computed anew in every epoch"
    rows = [
        ("Trained", "the linear head alone; the backbone, BatchNorm statistics included, stays bit for bit as it was")
    ]
    rows.append(("Features", f"{cached}; augmentation: {plain(data.config.augment['probe'])}"))
    if probe.solver == "lbfgs":
        tried = ", ".join(f"{value:g}" for value in probe.strengths)
        kept = f"{train['chosen']['strength']:g}"
        rows.append(("Solver", "L-BFGS on L2-regularised logistic regression"))
        rows.append(("L2 strengths tried", f"{tried}; kept on validation accuracy: **{kept}**"))
        return rows
    kept = f"{train['chosen']['learning_rate']:g}"
    if "learning_rate" in training:
        rows.append(("Learning rate", kept))
        schedule = training.get("lr_scheduler_type", "constant")
    else:
        tried = ", ".join(f"{value:g}" for value in probe.learning_rates)
        rows.append(("Learning rates", f"{tried}: one head each, in one run; kept on validation accuracy: **{kept}**"))
        schedule = training.get("lr_scheduler_type", "cosine")
    rows.append(("Schedule", plain(schedule) + _warmup(training)))
    return rows + _optimization(data, stage, training)


def _of_finetune(data: CardData, stage: StageData) -> list[tuple[str, str]]:
    options, train = data.config.finetune, stage.metrics["train"]
    training = options.training
    unfreeze = {
        "all": "every layer, from the first epoch on",
        "gradual": f"the head and the last layer group first, one more group {_every(options.unfreeze_every)}",
    }.get(options.unfreeze, f"{', '.join(code(name) for name in options.layers)} and the head; the others stay frozen")
    statistics = {"eval": "keeps the pretrained statistics", "train": "goes on counting its statistics"}[options.bn]
    rate = f"{train['learning_rate']:g}" + (f"; head {options.head_lr:g}" if options.head_lr is not None else "")
    if options.layer_decay != 1:
        rate += f"; each layer group {options.layer_decay:g} times that of the one above it"
    schedule = {
        "step": f"times {options.gamma:g} {_every(options.step_size)}",
        "plateau": f"times {options.gamma:g} after {options.plateau_patience} epochs without a better "
        f"validation {options.selection_metric}",
    }.get(options.scheduler, options.scheduler)
    rows = [
        ("Start", start(data)),
        ("Trained", unfreeze),
        (
            "BatchNorm",
            f"{statistics} (no effect on a network without BatchNorm)" if options.bn != "eval" else statistics,
        ),
        ("Learning rate", rate),
        ("Schedule", schedule + _warmup(training)),
        *_optimization(data, stage, training),
        ("Augmentation", augmentation(data)),
        ("Kept epoch", _selection(data, stage)),
    ]
    if options.ema:
        rows.append(("Averaging", f"exponential, over the steps, with decay {options.ema:g}"))
    if "interpolation" in train["chosen"]:
        how = "chosen on validation" if options.interpolate == "auto" else "given"
        strength = train["chosen"]["interpolation"]
        rows.append(
            ("Interpolation", f"{strength:g} of the way from the start's weights to the fine-tuned ones, {how}")
        )
    return rows


def start(data: CardData) -> str:
    """What fine-tuning started from, in words without a path."""
    origin = str(data.stage.metrics["train"].get("start", ""))
    if origin.startswith("this run's probe"):
        return "the linear probe of this run"
    name = data.config.finetune.from_
    new = ", with a new head" if origin.endswith("with a new head") else ""
    if name is not None:
        known = name if name in data.hub_names else Path(name).name
        return f"the saved model {code(known)}{new}"
    return "the pretrained backbone" + (new or ", with the head that it came with")


def augmentation(data: CardData) -> str:
    """How training images were varied while the backbone was trained."""
    options = data.config.augmentation
    words = {
        "none": "none",
        "crop": "shifts by up to an eighth of the side",
        "standard": "shifts by up to an eighth of the side, horizontal flips",
        "trivial": "shifts by up to an eighth of the side, horizontal flips, TrivialAugment",
        "rand": "shifts by up to an eighth of the side, horizontal flips, RandAugment",
    }[data.config.augment["finetune"]]
    extra = [(options.random_erasing, "random erasing with probability"), (options.mixup, "MixUp with alpha")]
    extra.append((options.cutmix, "CutMix with alpha"))
    smoothing = data.config.finetune.training.get("label_smoothing_factor", 0)
    extra.append((smoothing, "label smoothing of"))
    return ", ".join([words, *(f"{name} {value:g}" for value, name in extra if value)])


def _optimization(data: CardData, stage: StageData, training: dict[str, Any]) -> list[tuple[str, str]]:
    train = stage.metrics["train"]
    optimizer = str(training.get("optim", train.get("optimizer", "adamw_torch"))).rpartition(".")[2].lower()
    momentum = f", momentum {data.config.momentum:g}" if optimizer == "sgd" else ""
    decay = float(training.get("weight_decay", 0))
    matrices = " (not on biases and norms)" if stage.name == "finetune" else ""
    clip = float(training.get("max_grad_norm", 1.0))
    asked, done = training.get("num_train_epochs"), train["epochs"]
    early = f" of {float(asked):g}" if asked is not None and float(asked) != done else ""
    return [
        ("Optimizer", f"{code(optimizer, cell=True)}{momentum}"),
        ("Weight decay", f"{decay:g}{matrices}" if decay else "none"),
        ("Gradient clipping", f"norm {clip:g}" if clip else "none"),
        ("Epochs", f"{done:g}{early}"),
        ("Batch size", _batch(training, train)),
    ]


def _every(epochs: int) -> str:
    return "every epoch" if epochs == 1 else f"every {epochs} epochs"


def _batch(training: dict[str, Any], train: dict[str, Any]) -> str:
    accumulated = int(training.get("gradient_accumulation_steps", 1))
    times = f", {accumulated} batches a step" if accumulated > 1 else ""
    if "per_device_train_batch_size" in training or TRAIN_BATCH_SIZE not in training:
        size = int(training.get("per_device_train_batch_size", 8)) * int(train["processes"])
        return f"{size}{times}"
    return f"{training[TRAIN_BATCH_SIZE]}{times}"


def _warmup(training: dict[str, Any]) -> str:
    steps = float(training.get("warmup_steps") or training.get("warmup_ratio") or 0)
    if not steps:
        return ""
    return (
        f", after a warm-up over {100 * steps:g} % of all steps" if steps < 1 else f", after {steps:g} steps of warm-up"
    )


def _precision(training: dict[str, Any]) -> str:
    mixed = next((name for name in ("bf16", "fp16") if training.get(name)), None)
    return f"{mixed} mixed precision in training, float32 in the saved model" if mixed else "float32"


def _selection(data: CardData, stage: StageData) -> str:
    metric = data.config.finetune.selection_metric
    early = data.config.finetune.early_stopping
    end = f"; training stops after {early} epochs without a better one" if early else ""
    return f"{stage.metrics['train']['chosen']['epoch']:g}, the best by {plain(metric)} on validation{end}"


def _recipe(data: CardData) -> RunConfig:
    """The configuration that the recipe alone makes."""
    return RunConfig.build({"recipe": data.config.recipe, "stage": data.config.stage})


def _value(config: RunConfig, part: str | None, name: str) -> Any:
    return getattr(getattr(config, part) if part else config, name)


def _kept(training: dict[str, Any]) -> dict[str, Any]:
    """The training arguments that rule the result."""
    kept = ((name, value) for name, value in training.items() if value is not None and not _NOISE.fullmatch(name))
    return {name: value for name, value in kept if not is_secret(name, value)}


def _training_flag(config: RunConfig, stage: str, name: str) -> str:
    """With lpft a training argument is the fine-tuning's, and the probe's has a flag of its own."""
    return flag(f"probe_{name}" if stage == "probe" and config.stage == "lpft" else name)


def _training_words(data: CardData, recipe: RunConfig) -> list[list[str]]:
    config = data.config
    words: list[list[str]] = []
    for stage in config.stages[::-1]:
        ours, theirs = _kept(getattr(config, stage).training), getattr(recipe, stage).training
        for name, value in sorted(ours.items()):
            both = config.stage == "lpft" and name in SHARED_TRAINING_ARGUMENTS
            group = [flag(name) if both else _training_flag(config, stage, name), _shown(data, name, value)]
            if value != theirs.get(name) and group not in words:
                words.append(group)
    return words


def _shown(data: CardData, name: str, value: Any) -> str:
    """A value as the command line takes it, without a path of the machine that it was used on."""
    if isinstance(value, list):
        return ",".join(_shown(data, name, item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, float):
        return f"{value:.12g}"
    text = str(value)
    bundled = {"dataset": DATASET_NAMES, "model": MODEL_NAMES}.get(name)
    parts = re.split(r"[/\\]", text.rstrip("/\\"))
    local = len(parts) > 1 or text.startswith("~") or (bundled is not None and text not in bundled)
    return PLACEHOLDER + parts[-1] if local and text not in data.hub_names else text


def _places(data: CardData) -> list[list[str]]:
    """Where data and weights come from."""
    config = data.config
    values = (config.data.dataset, config.model.model, config.model.weights, config.finetune.from_)
    named = zip(_PLACES, values, strict=True)
    return [[flag(name), _shown(data, name, value)] for name, value in named if value is not None]


def _wrapped(words: list[list[str]]) -> str:
    """A command on lines of a readable width, continued as a shell wants it."""
    lines = ["hf-cifar"]
    for group in words:
        text = shlex.join(group)
        if len(lines[-1]) + len(text) > _WIDTH:
            lines.append("    " + text)
        else:
            lines[-1] += " " + text
    return " \\\n".join(lines)

"""What `--help` prints: a screen for a stage, the usual options first, or every option. Light: no torch here."""

import textwrap
from dataclasses import Field, fields
from typing import Any

from hf_cifar.config.aliases import ALIASES
from hf_cifar.config.commands import COMMANDS, takes
from hf_cifar.config.fields import flag
from hf_cifar.config.run_config import RunConfig, flags, stages_of
from hf_cifar.config.stages import STAGES
from hf_cifar.config.training_arguments import COMPUTE_ARGUMENTS, TRAIN_BATCH_SIZE

WIDTH = 100
INDENT = 28
# The options that most people want, in groups; those that do nothing in a stage are left out of its help.
USUAL = {
    "images and labels": ("dataset", "label_column", "images", "max_train_samples", "max_eval_samples"),
    "model": ("model", "weights", "from_", "checkpoint", "runs", "image_size", "backend"),
    "training": (
        *("learning_rate", "num_train_epochs", TRAIN_BATCH_SIZE, "augment", "scheduler", "unfreeze", "layer_decay"),
        *("early_stopping", "solver", "features"),
    ),
    "measuring": ("split", "robustness"),
    "results": (
        *("output", "html", "top_k", "coverage", "batch_size", "formats", "output_dir", "resume", "overwrite", "seed"),
        "recipe",
    ),
    "hub": ("hub_model_id", "push_to_hub", "public", "revision", "license", "space", "dry_run"),
}
# Of these a stage has a use, but hardly anybody who types it.
RARE = {
    "evaluate": ("max_train_samples", "seed"),
    "export": ("dataset", "label_column", "max_train_samples", "max_eval_samples", "seed"),
    "push": ("dataset", "label_column", "max_train_samples", "max_eval_samples", "seed"),
    "predict": ("output_dir",),
}
# Fields of TrainingArguments among them.
OF_TRAINER = {
    "learning_rate": "of fine-tuning; for a probe, one head at a constant rate instead of a grid",
    "num_train_epochs": "passes over the training images",
    TRAIN_BATCH_SIZE: "images in a step, over all processes",
    "use_cpu": "compute on the CPU even where there is an accelerator",
    "dataloader_num_workers": "processes that load images",
}
# What fits a line, of options whose help is longer; that is in --help-all.
SHORT = {
    "dataset": "as DATA: a folder, .zip file, Hub id (USER/NAME), cifar10 or digits",
    "label_column": "the column of the labels, where there are several",
    "max_train_samples": "train on at most N images",
    "max_eval_samples": "use at most N validation and N test images",
    "images": "as IMAGE: files, folders, globs, a .txt of paths, - (standard input)",
    "model": "resnet18, resnet50, vit-base, …, a Hub id, or a saved model's folder",
    "weights": "file, folder or Hub id of the pretrained weights; none: random",
    "from_": "a run, a saved model or a Hub id (default: this run's probe)",
    "checkpoint": "as RUN: a run, saved model or Hub id (default: as in --output-dir)",
    "runs": "as RUN: runs, or stages of runs, such as runs/a runs/b/probe",
    "image_size": "pixels on a side of the network's input (default: as pretrained)",
    "backend": "what computes: torch, or a form that export has made, such as onnx",
    "augment": "none, crop, standard (crop and flip), trivial or rand",
    "scheduler": "cosine, step, plateau, linear, constant, and those of transformers",
    "unfreeze": "what trains: all, gradual (from the head down), or layers by name",
    "layer_decay": "each layer group has this times the rate of the one above it",
    "solver": "a grid of learning rates, or logistic regression",
    "features": "computed once and kept, or in every epoch",
    "robustness": "on corrupted images too: noise, blur, fog, …, at 5 severities",
    "split": "what is measured (default: test, or all where there are no splits)",
    "output": "file of the predictions: .csv, .jsonl, .parquet; -: JSON Lines",
    "coverage": "also a set of labels that holds the right one so often, such as 0.9",
    "formats": "forms of the model: native, onnx, onnx-q8, onnx-fp16, openvino",
    "seed": "of the splits, the order of the images and every random draw",
    "recipe": "named defaults (default: by the kind of model, resnet or vit)",
    "hub_model_id": "repository on the Hub",
    "license": "as the Hub names it, such as apache-2.0 (default: the base model's)",
    "space": "also a page that classifies: in the browser, or by gradio",
}
# Instead of SHORT, in one stage.
SHORT_IN = {
    "push": {"dry_run": "list what would be pushed, and send nothing"},
    "finetune": {"learning_rate": "of the fine-tuning (--lr)"},
    "lpft": {"learning_rate": "of the fine-tuning (--lr); of the probe: --probe-learning-rate"},
    "probe": {"learning_rate": "of one head, at a constant rate, instead of a grid (--lr)"},
    "demo": {"runs": "several models side by side: runs, saved models or Hub ids"},
}
DRY_RUN = "say how long it would take and how large it gets; train nothing"
PURPOSES = {
    "train": "Train a head on frozen features, then the backbone with it: probe, then finetune.",
    "probe": "Train a linear head on the features of the frozen backbone.",
    "finetune": "Train the backbone too, from a probe where there is one.",
    "lpft": "The same as train.",
    "audit": "Find duplicates, leaks between splits and doubtful labels of a dataset.",
    "evaluate": "Measure a trained model: on its own test images, or on a dataset.",
    "predict": "Classify images.",
    "compare": "Compare finished runs: accuracy, calibration, cost, and where they disagree.",
    "demo": "Open a local page that classifies images, with what the network looked at.",
    "export": "Write a folder that loads anywhere, with its model card, and check it.",
    "push": "Export a model, and upload it to the Hub in one commit.",
}
EXAMPLES = {
    "train": ("photos --output-dir runs/photos", "photos --model vit-base --epochs 10 --dry-run"),
    "probe": ("photos --output-dir runs/photos", "photos --solver lbfgs --output-dir runs/photos"),
    "finetune": ("photos --output-dir runs/photos", "--from runs/photos/probe --lr 0.01 --output-dir runs/other"),
    "lpft": ("photos --output-dir runs/photos",),
    "audit": ("photos --output-dir runs/photos",),
    "evaluate": ("runs/photos", "runs/photos other_photos --robustness", "USER/NAME photos"),
    "predict": ("runs/photos a.jpg more/", "USER/NAME 'more/*.jpg' --output answers.csv"),
    "compare": ("runs/a runs/b/probe",),
    "demo": ("runs/photos",),
    "export": ("runs/photos", "runs/photos --formats native,onnx"),
    "push": ("runs/photos --hub-model-id USER/NAME --dry-run", "runs/photos --hub-model-id USER/NAME --public"),
}
ALWAYS = (
    ("--config FILE", "YAML of configuration values, such as a run's run.yaml"),
    ("--debug", "show the traceback of an error"),
    ("--version", "print the version"),
    ("--print-completion bash|zsh|fish", "print a script by which the shell completes commands and options"),
)
EPILOG = """\
Every field of transformers.TrainingArguments is a flag too and overrides the recipe, such as
  --learning-rate 0.01 --num-train-epochs 20 --train-batch-size 64 --dataloader-num-workers 4
(--train-batch-size is the batch size over all processes). With --stage lpft they apply to fine-tuning, and
--probe-learning-rate and the like to the probe; those that say how to compute, such as the workers, apply to both.
An option that does nothing in a stage is refused. The last line of standard output is one JSON object.
Exit status: 0 success, 2 the request or its input is wrong, 1 any other failure, 130 Ctrl-C, 143 SIGTERM."""


def overview() -> str:
    """Return the commands and every option."""
    commands = [(command, PURPOSES[command].rstrip(".")) for command in COMMANDS]
    lines = [
        "usage: hf-cifar COMMAND [DATA] [options]",
        "       hf-cifar COMMAND --help      the usual options of a command, in a screen",
        "",
        "From linear probe to fine-tuned image classifier, honestly evaluated.",
        "",
        "commands (--stage NAME is the same):",
        *(line for command, text in commands for line in _entry(command, text, 14)),
    ]
    return "\n".join([*lines, *_parts(tuple(STAGES)), *_common(), "", EPILOG])


def stage_help(command: str, everything: bool = False) -> str:
    """Return the options of a command's stage.

    Args:
        command: or the stage.
        everything: every option that does something in the stage, in full; otherwise the usual ones, a line each.
    """
    stage = COMMANDS[command]
    usage, *others = (f"hf-cifar {command} {text}" for text in (f"{_data(stage)}[options]", *EXAMPLES[command]))
    lines = [f"usage: {usage}", "", *textwrap.wrap(PURPOSES[command], WIDTH), *(f"  {line}" for line in others)]
    if everything:
        return "\n".join([*lines, *_parts((stage,)), *_common(), "", EPILOG])
    for title, names in USUAL.items():
        entries = [_short(name, stage) for name in names if does_something(name, stage) and not _is_rare(name, stage)]
        if entries:
            lines += ["", f"{title}:", *entries]
    shown = {name for names in USUAL.values() for name in names if not _is_rare(name, stage)}
    left = sum(stage in stages_of(name) for name in flags() if name not in shown and name != "stage")
    more = f"{left} more options" if left else "all of it in full"
    lines += ["", f"{more}{', and those of the Trainer' if STAGES[stage] else ''}: hf-cifar {command} --help-all"]
    return "\n".join(lines)


def _is_rare(name: str, stage: str) -> bool:
    return name in RARE.get(stage, ())


def _data(stage: str) -> str:
    kind = takes(stage)
    if kind is None:
        return ""
    words = {"dataset": "DATA", "images": "IMAGE…", "runs": "RUN…", "checkpoint": "RUN"}[kind]
    run = "[RUN] " if kind != "checkpoint" and stage in stages_of("checkpoint") else ""
    return f"{run}[{words}] "


def does_something(name: str, stage: str) -> bool:
    """Return whether an option does something in a stage."""
    if name in flags():
        return stage in stages_of(name) and not (name == "batch_size" and STAGES[stage])
    return bool(STAGES[stage]) or name in COMPUTE_ARGUMENTS[stage]


def _short(name: str, stage: str = "") -> str:
    """Return an option in a line, as it is meant in a stage."""
    if name in OF_TRAINER:
        also = "".join(f" ({flag(alias)})" for alias, own in ALIASES.items() if own == name and len(alias) < 7)
        spelled = flag(name) if name == "use_cpu" else f"{flag(name)} N"
        return _line(spelled, SHORT_IN.get(stage, {}).get(name, OF_TRAINER[name] + also))
    item = flags()[name][1]
    spelled = _spelled(name, item)
    if len(spelled) > INDENT - 4:
        spelled = spelled.partition("|")[0] + "|…"
    text = SHORT.get(name, item.metadata["help"]) if name != "dry_run" else DRY_RUN
    return _line(spelled, SHORT_IN.get(stage, {}).get(name, text))


def _parts(stages: tuple[str, ...]) -> list[str]:
    """Return every option that does something in one of some stages, by parts of the configuration."""
    titles: dict[str | None, str] = {None: "run"}
    for part in fields(RunConfig):
        kind = part.default_factory
        titles[part.name] = (getattr(kind, "__doc__", "") or part.name).partition(".")[0]
    lines: list[str] = []
    for section, title in titles.items():
        entries = [
            line
            for name, (own, item) in flags().items()
            if own == section and any(does_something(name, stage) for stage in stages)
            if len(stages) > 1 or name != "stage"
            for line in _entry(_spelled(name, item), _with_default(item), INDENT)
        ]
        if entries:
            lines += ["", f"{title}:", *entries]
    trainer = [name for name in OF_TRAINER if any(does_something(name, stage) for stage in stages)]
    return [*lines, "", "Trainer, among others:", *(_short(name) for name in trainer)] if trainer else lines


def _common() -> list[str]:
    return ["", "always:", *(line for spelled, text in ALWAYS for line in _entry(spelled, text, INDENT))]


def _spelled(name: str, item: Field[Any]) -> str:
    if item.type is bool:
        return flag(name)
    choices, metavar = item.metadata["choices"], item.metadata["metavar"]
    if choices is not None and len("|".join(choices)) <= 40:
        return f"{flag(name)} {'|'.join(choices)}"
    return f"{flag(name)} {metavar or ('NAME' if choices or item.type in (str, str | None) else 'N')}"


def _with_default(item: Field[Any]) -> str:
    plain = isinstance(item.default, (str, int, float)) and item.default is not False
    choices = item.metadata["choices"]
    among = f" [{', '.join(choices)}]" if choices is not None and len("|".join(choices)) > 40 else ""
    return item.metadata["help"] + among + (f" (default: {item.default})" if plain else "")


def _line(spelled: str, text: str) -> str:
    """Return an option and its help in one line."""
    room = WIDTH - max(INDENT, len(spelled) + 4)
    return f"  {spelled:<{INDENT - 4}}  {textwrap.shorten(text, room, placeholder=' …')}"


def _entry(spelled: str, text: str, indent: int) -> list[str]:
    """Return an option and its help, wrapped."""
    wrapped = textwrap.wrap(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False) or [""]
    if len(spelled) + 4 > indent:
        return [f"  {spelled}", *(" " * indent + line for line in wrapped)]
    return [f"  {spelled:<{indent - 4}}  {wrapped[0]}", *(" " * indent + line for line in wrapped[1:])]

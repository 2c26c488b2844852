"""What `--help` prints: a screen for a stage, the usual options first, or every option. Light: no torch here."""

import shutil
import textwrap
from dataclasses import Field, fields
from typing import Any

from hf_cifar.config.commands import COMMANDS, takes
from hf_cifar.config.fields import Usual, flag
from hf_cifar.config.run_config import RunConfig, flags, stages_of
from hf_cifar.config.stages import STAGES
from hf_cifar.config.training_arguments import COMPUTE_ARGUMENTS, REPORT_TO, TOLD

WIDTH = 100
INDENT = 28
# Of the usual options (`fields.Usual`), in this order.
GROUPS = ("images and labels", "model", "training", "measuring", "results", "hub")
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
EPILOG = (
    "Every field of transformers.TrainingArguments is a flag too and overrides the recipe, such as --learning-rate "
    "0.01 --num-train-epochs 20 --train-batch-size 64 --dataloader-num-workers 4 (--train-batch-size is the batch size "
    "over all processes). With --stage lpft they apply to fine-tuning, and --probe-learning-rate and the like to the "
    "probe; those that say how to compute, such as the workers, apply to both.",
    "An option that does nothing in a stage is refused. The last line of standard output is one JSON object.",
    "Exit status: 0 success, 2 the request or its input is wrong, 1 any other failure, 130 Ctrl-C, 143 SIGTERM.",
)


def screen_width() -> int:
    """Return the columns of the terminal, where that is narrower than the help."""
    return max(60, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


def overview(width: int = WIDTH) -> str:
    """Return the commands and every option.

    Args:
        width: of the lines at most, in characters.
    """
    commands = [(command, PURPOSES[command].rstrip(".")) for command in COMMANDS]
    lines = [
        "usage: hf-cifar COMMAND [DATA] [options]",
        "       hf-cifar COMMAND --help      the usual options of a command, in a screen",
        "",
        "From linear probe to fine-tuned image classifier, honestly evaluated.",
        "",
        "commands (--stage NAME is the same):",
        *(line for command, text in commands for line in _entry(command, text, 14, width)),
    ]
    return "\n".join([*lines, *_parts(tuple(STAGES), width), *_closing(width)])


def stage_help(command: str, everything: bool = False, width: int = WIDTH) -> str:
    """Return the options of a command's stage.

    Args:
        command: or the stage.
        everything: every option that does something in the stage, in full; otherwise the usual ones, in a few words.
        width: of the lines at most, in characters.
    """
    stage = COMMANDS[command]
    usage, *others = (f"hf-cifar {command} {text}" for text in (f"{_data(stage)}[options]", *EXAMPLES[command]))
    lines = [f"usage: {usage}", "", *textwrap.wrap(PURPOSES[command], width), *(f"  {line}" for line in others)]
    if everything:
        return "\n".join([*lines, *_parts((stage,), width), *_closing(width)])
    usual = {name: shown for name, shown in _usual().items() if stage not in shown.rare_in}
    for group in GROUPS:
        names = [name for name, shown in usual.items() if shown.group == group and does_something(name, stage)]
        if names:
            lines += ["", f"{group}:", *(line for name in names for line in _short(name, stage, width))]
    left = sum(stage in stages_of(name) for name in flags() if name not in usual and name != "stage")
    more = f"{left} more options" if left else "all of it in full"
    lines += ["", f"{more}{', and those of the Trainer' if STAGES[stage] else ''}: hf-cifar {command} --help-all"]
    return "\n".join(lines)


def _usual() -> dict[str, Usual]:
    """Return the options that short help shows, in its order: those of the Trainer, of the parts, of every run."""
    ours = sorted(flags().items(), key=lambda item: item[1][0] is None)
    told = {name: shown for name, (_, shown) in TOLD.items()}
    last = {name: told.pop(name) for name in (REPORT_TO,)}
    return told | {name: item.metadata["usual"] for name, (_, item) in ours if item.metadata["usual"]} | last


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


def _short(name: str, stage: str, width: int) -> list[str]:
    """Return an option in a few words, as it is meant in a stage."""
    if name in TOLD:
        metavar, shown = TOLD[name]
        return _entry(f"{flag(name)} {metavar}".rstrip(), shown.in_stages.get(stage, shown.text), INDENT, width)
    item = flags()[name][1]
    spelled, shown = _spelled(name, item), item.metadata["usual"]
    if len(spelled) > INDENT - 4:
        spelled = spelled.partition("|")[0] + "|…"
    return _entry(spelled, shown.in_stages.get(stage, shown.text or item.metadata["help"]), INDENT, width)


def _parts(stages: tuple[str, ...], width: int) -> list[str]:
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
            for line in _entry(_spelled(name, item), _with_default(item), INDENT, width)
        ]
        if entries:
            lines += ["", f"{title}:", *entries]
    trainer = [name for name in TOLD if any(does_something(name, stage) for stage in stages)]
    one = stages[0] if len(stages) == 1 else ""
    told = [line for name in trainer for line in _short(name, one, width)]
    return [*lines, "", "Trainer, among others:", *told] if told else lines


def _closing(width: int) -> list[str]:
    """Return what every command takes, and how all of them behave."""
    always = [line for spelled, text in ALWAYS for line in _entry(spelled, text, INDENT, width)]
    notes = [line for text in EPILOG for line in textwrap.wrap(text, width, break_on_hyphens=False)]
    return ["", "always:", *always, "", *notes]


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


def _entry(spelled: str, text: str, indent: int, width: int) -> list[str]:
    """Return an option and its help, wrapped."""
    wrapped = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False) or [""]
    if len(spelled) + 4 > indent:
        return [f"  {spelled}", *(" " * indent + line for line in wrapped)]
    return [f"  {spelled:<{indent - 4}}  {wrapped[0]}", *(" " * indent + line for line in wrapped[1:])]

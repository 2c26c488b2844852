"""The command that repeats a run, without paths or credentials of the machine that it ran on."""

import json
import os
import re
import shlex
from typing import Any

from hf_cifar.config.fields import flag
from hf_cifar.config.locate import DATASET_NAMES, MODEL_NAMES
from hf_cifar.config.recipes import read_recipe
from hf_cifar.config.run_config import RunConfig, flags, stages_of
from hf_cifar.config.training_arguments import SHARED_TRAINING_ARGUMENTS
from hf_cifar.hub.card.data import CardData

PLACEHOLDER = "PATH/TO/"
# Training arguments that do not change the model: where logs and checkpoints go, how images are read.
_IRRELEVANT = re.compile(
    r"output_dir|run_name|report_to|project|trackio.*|disable_tqdm|log_.*|logging_.*|save_total_limit|hub_.*|"
    r"push_to_hub.*|dataloader_.*|ddp_.*|include_.*|skip_memory_metrics|overwrite_output_dir"
)
_SECRET = re.compile(r"token|secret|password|api_?key", re.IGNORECASE)
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
_TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
# Fields that the command always names, or that hold for one machine or call only.
_SEPARATE = {"stage", "recipe", "output_dir", "resume", "overwrite", "feature_cache"}
_SEPARATE |= {"dataset", "model", "weights", "from_"}
_OTHER_PARTS = ("prediction", "comparison", "hub")
_WIDTH = 100


def full_command(data: CardData) -> str:
    """Return the command with every option that differs from the recipe, for a shell; local paths are `PATH/TO/…`."""
    config, recipe = data.config, RunConfig.from_dict(read_recipe(str(data.config.recipe)))
    words = [["--stage", config.stage], ["--recipe", str(config.recipe)], *_sources(data)]
    for name, (part, _) in flags().items():
        if name in _SEPARATE or part in _OTHER_PARTS or config.stage not in stages_of(name):
            continue
        value, default = (getattr(getattr(item, part) if part else item, name) for item in (config, recipe))
        if name == "dataset_revision" and data.dataset.kind == "hub":
            value = data.dataset.revision or value
        if value == default or value is None:
            continue
        if isinstance(value, bool):
            words.append([flag(name if value else "no_" + name)])
        else:
            words.append([flag(name), option_text(data, name, value)])
    words += _training_arguments(data, recipe)
    return _wrapped([*words, ["--output-dir", f"runs/{config.folder.name}"]])


def run_file_command(data: CardData) -> str:
    """Return the command that repeats the run from its run.yaml."""
    local = [group for group in _sources(data) if group[1].startswith(PLACEHOLDER)]
    return _wrapped([["--config", "run.yaml"], *local, ["--output-dir", "runs/again"]])


def relevant_arguments(training: dict[str, Any]) -> dict[str, Any]:
    """Return the training arguments that may change the model, without credentials."""
    given = {name: value for name, value in training.items() if value is not None and not _IRRELEVANT.fullmatch(name)}
    return {name: value for name, value in given.items() if not is_secret(name, value)}


def is_secret(name: str, value: Any) -> bool:
    """Return whether a setting is, or may be, a credential."""
    if isinstance(value, dict):
        return bool(_SECRET.search(name)) or any(is_secret(str(key), item) for key, item in value.items())
    tokens = [token for token in map(os.environ.get, _TOKEN_VARIABLES) if token]
    return bool(_SECRET.search(name) or _TOKEN.search(str(value)) or any(token in str(value) for token in tokens))


def option_text(data: CardData, name: str, value: Any) -> str:
    """Return a value as the command line takes it, a local path without its folders."""
    if isinstance(value, list):
        return ",".join(option_text(data, name, item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, float):
        return f"{value:.12g}"
    text = str(value)
    known = {"dataset": DATASET_NAMES, "model": MODEL_NAMES}.get(name)
    parts = re.split(r"[/\\]", text.rstrip("/\\"))
    local = len(parts) > 1 or text.startswith("~") or (known is not None and text not in known)
    return PLACEHOLDER + parts[-1] if local and text not in data.hub_names else text


def _training_arguments(data: CardData, recipe: RunConfig) -> list[list[str]]:
    config = data.config
    words: list[list[str]] = []
    for stage in config.stages[::-1]:
        defaults = getattr(recipe, stage).training
        for name, value in sorted(relevant_arguments(getattr(config, stage).training).items()):
            if value == defaults.get(name):
                continue
            # With lpft a training argument is the fine-tuning's, and the probe's has a flag of its own.
            own = stage == "probe" and config.stage == "lpft" and name not in SHARED_TRAINING_ARGUMENTS
            group = [flag(f"probe_{name}" if own else name), option_text(data, name, value)]
            words += [group] if group not in words else []
    return words


def _sources(data: CardData) -> list[list[str]]:
    config = data.config
    values = {"dataset": config.data.dataset, "model": config.model.model, "weights": config.model.weights}
    named = {**values, "from_": config.finetune.from_}
    return [[flag(name), option_text(data, name, value)] for name, value in named.items() if value is not None]


def _wrapped(words: list[list[str]]) -> str:
    lines = ["hf-cifar"]
    for text in map(shlex.join, words):
        if len(lines[-1]) + len(text) > _WIDTH:
            lines.append("    " + text)
        else:
            lines[-1] += " " + text
    return " \\\n".join(lines)

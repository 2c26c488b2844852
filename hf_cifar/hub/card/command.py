"""The command that repeats a run, without paths or credentials of the machine that it ran on."""

import json
import os
import re
import shlex
from typing import Any

from hf_cifar.config.fields import flag
from hf_cifar.config.locate import DATASET_NAMES, MODEL_NAMES
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


def reproduce_command(data: CardData) -> str:
    """Return the shell command that repeats the run from its run.yaml, with the data's revision pinned."""
    sources = {
        "dataset": data.config.data.dataset,
        "model": data.config.model.model,
        "weights": data.config.model.weights,
        "from_": data.config.finetune.from_,
        "exclude_leaks": data.config.evaluation.exclude_leaks,
    }
    options = {name: option_text(data, name, value) for name, value in sources.items() if value is not None}
    options = {name: text for name, text in options.items() if text.startswith(PLACEHOLDER)}
    if data.dataset.kind == "hub" and data.dataset.revision:
        options["dataset_revision"] = data.dataset.revision
    words = ["--config run.yaml", *(shlex.join([flag(name), text]) for name, text in options.items())]
    return " \\\n    ".join(["hf-cifar " + words[0], *words[1:], "--output-dir runs/again"])


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

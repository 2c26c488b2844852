"""The folder of a run: given, or named by what is trained on what."""

from pathlib import Path

from hf_cifar.config.layers import Layer, text_of, value_in
from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.options.model import ModelConfig
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError

# Names of folders that say nothing about a model: runs/a/finetune/model is the model of run a.
FOLDERS_OF_A_RUN = (*STAGES, "model")


def output_folder(asked: Layer, stage: str) -> Path:
    """Return `--output-dir`, by default runs/MODEL-DATASET."""
    given = asked.get("output_dir")
    if given is not None:
        folder = Path(text_of("output_dir", given))
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--output-dir {folder} is a file: give a folder")
        return folder
    if stage == "compare":
        return Path("runs", stage)
    start = value_in(asked, "finetune", "from_")
    named = asked.get("checkpoint") or start or value_in(asked, "model", "model") or ModelConfig.model
    parts = Path(str(named).partition("@")[0]).expanduser().parts
    model = [part for part in parts if part not in FOLDERS_OF_A_RUN] or parts
    dataset = Path(str(value_in(asked, "data", "dataset") or DataConfig.dataset)).name
    return Path("runs", f"{model[-1]}-{dataset}")

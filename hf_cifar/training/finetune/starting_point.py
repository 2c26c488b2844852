"""The network that fine-tuning starts from: a probe, a saved model or the pretrained one. Only weights are taken."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedModel

from hf_cifar.config.locate import locate_model, locate_start
from hf_cifar.config.parts import ModelConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.splits import Splits
from hf_cifar.models.anatomy import head
from hf_cifar.models.base_model import metrics_beside
from hf_cifar.models.build import build_model
from hf_cifar.run.stage_folder import METRICS_FILE, SPLITS_FILE
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class Start:
    """The start of fine-tuning.

    Attributes:
        origin: description of it.
        weights: description of where the weights come from; the `model` of `metrics.json`.
        base_model: Hub id that the weights go back to, or None.
        trained_head: whether the head has been trained for these labels.
        unused: whether the model has parameters that its output does not depend on; known with several processes only.
        processor: image processor that the weights were trained with.
        model: the network, float32, on the CPU. It is built once per stage, and trained in place.
    """

    origin: str
    weights: str
    base_model: str | None
    trained_head: bool
    unused: bool
    processor: Any
    model: PreTrainedModel


def find_start(config: RunConfig, label_names: list[str]) -> Start:
    """Build what `--from` names, else this run's probe, else the pretrained model.

    The head is new unless the model's labels are those of the dataset, in the same order.

    Raises:
        InputError: there is nothing there, or it is not an image classifier.
    """
    probe = config.folder / "probe"
    if config.finetune.from_ is not None:
        origin = config.finetune.from_
        model = replace(config.model, model=locate_start(origin).full_name, weights=None)
    elif (probe / METRICS_FILE).is_file():
        origin = f"this run's probe ({probe / 'model'})"
        model = replace(config.model, model=str(probe / "model"), weights=None)
    else:
        origin, model = "the pretrained model", config.model
    trained = _has_head_for(label_names, model)

    built = build_model(model, label_names, config.seed)
    if not trained:
        head(built.model).renew(config.seed)
        origin += ", with a new head"
    for remark in built.remarks:
        say(remark)
    weights = metrics_beside(model.model).get("model", built.origin)
    return Start(origin, weights, built.base_model, trained, built.unused, built.processor, built.model)


def warn_of_leak(config: RunConfig, splits: Splits) -> None:
    """Warn if validation images of this run were training images of the run that `--from` names."""
    if config.finetune.from_ is None:
        return
    folder = Path(config.finetune.from_).expanduser().resolve()
    files = [parent / SPLITS_FILE for parent in (folder, *folder.parents[:2])]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return
    before = json.loads(file.read_text())["train"]
    validation = splits.validation
    same = set(before["rows"]) & set(validation.index.tolist())
    if same and (before["split"], before.get("fingerprint")) == (validation.name, validation.fingerprint):
        say(
            f"warning: {len(same):,} of {len(validation):,} validation images were trained on by the run in "
            f"{file.parent}: choices made on them are too optimistic; use the --seed of that run"
        )


def _has_head_for(label_names: list[str], config: ModelConfig) -> bool:
    """Return whether the logits of a saved model are those of the labels, in the same order."""
    location = locate_model(config.model)
    if location.kind == "torchvision" or config.weights is not None:
        return False
    try:
        names = AutoConfig.from_pretrained(location.name, revision=location.revision or "main").id2label or {}
    except (OSError, ValueError, ImportError):
        return False  # `build_model` says what is wrong with it
    return [names[index] for index in sorted(names)] == label_names

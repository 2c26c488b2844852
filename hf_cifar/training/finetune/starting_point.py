"""What fine-tuning starts from: the weights, and no more, of a probe, a saved model, or the pretrained one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from hf_cifar.config.locate import locate_model, locate_start
from hf_cifar.config.parts import ModelConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.splits import Splits
from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import head
from hf_cifar.models.base_model import metrics_beside
from hf_cifar.models.build import BuiltModel, build_model
from hf_cifar.models.pretrained import load_config
from hf_cifar.run.stage_folder import METRICS_FILE, SPLITS_FILE
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class Start:
    """Where fine-tuning starts.

    Attributes:
        origin: in words.
        weights: where the weights come from, in words: what `metrics.json` calls the model.
        base_model: the Hub id that they go back to; None where there is none.
        trained_head: whether the head has been trained for these labels.
        unused: whether the model has parameters that no answer depends on; known where there are several processes.
        processor: the image processor that the weights were trained with.
        load: makes the model, float32, the same one at every call.
    """

    origin: str
    weights: str
    base_model: str | None
    trained_head: bool
    unused: bool
    processor: Any
    load: Callable[[], PreTrainedModel]


def find_start(config: RunConfig, label_names: list[str]) -> Start:
    """What `--from` names; else this run's probe; else the pretrained model, with a new head unless its labels fit.

    Raises:
        InputError: nothing is there, or it is no image classifier.
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

    def build() -> BuiltModel:
        """The model anew, with a new head where its own is for other labels."""
        built = build_model(model, label_names, config.seed)
        if not trained:
            head(built.model).renew(config.seed)
        return built

    first = build()
    if not trained:
        origin += ", with a new head"
    for remark in first.remarks:
        say(remark)
    weights = metrics_beside(model.model).get("model", first.origin)
    return Start(origin, weights, first.base_model, trained, first.unused, first.processor, lambda: build().model)


def warn_of_leak(config: RunConfig, splits: Splits) -> None:
    """Say so where the validation images of this run were training images of the run that `--from` names."""
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
            f"{file.parent}: what is chosen on them is too optimistic; use the --seed of that run"
        )


def _has_head_for(label_names: list[str], config: ModelConfig) -> bool:
    """Whether a saved model's logits are those of the labels, in their order."""
    location = locate_model(config.model)
    if location.kind == "torchvision" or config.weights is not None:
        return False
    try:
        names = load_config(location).id2label or {}
    except InputError:
        return False  # `build_model` says what is wrong with it
    return [names[number] for number in sorted(names)] == label_names

"""The network that fine-tuning starts from: a probe, a saved model or the pretrained one. Only weights are taken."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.config.locate import Location, locate_start
from hf_cifar.data.content import image_hashes
from hf_cifar.data.splits import Splits
from hf_cifar.models.anatomy import head
from hf_cifar.models.base_model import metrics_beside
from hf_cifar.models.build import build_model
from hf_cifar.models.pretrained import load_config
from hf_cifar.run.origins import StartKind, StartOrigin, WeightsOrigin
from hf_cifar.run.request import Request
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class Start:
    """The start of fine-tuning.

    Attributes:
        origin: what it is.
        weights: where the weights come from.
        base_model: Hub id that the weights go back to, or None.
        trained_head: whether the head has been trained for these labels.
        unused: whether the model has parameters that its output does not depend on; known with several processes only.
        processor: image processor that the weights were trained with.
        model: the network, float32, on the CPU. It is built once per stage, and trained in place.
    """

    origin: StartOrigin
    weights: WeightsOrigin
    base_model: str | None
    trained_head: bool
    unused: bool
    processor: Any
    model: PreTrainedModel


def find_start(request: Request, label_names: list[str]) -> Start:
    """Build what `--from` names, else this run's probe, else the pretrained model.

    The head is new unless the model's labels are those of the dataset, in the same order.

    Raises:
        InputError: it cannot be loaded, or is not an image classifier.
    """
    config = request.config
    origin, model, weights = _locate(request)
    trained = weights is None and _has_head_for(label_names, model)
    built = build_model(model, weights, config.model.image_size, label_names, config.seed)
    if not trained:
        head(built.model).renew(config.seed)
        origin = replace(origin, new_head=True)
    for remark in built.remarks:
        say(remark)
    made_by = metrics_beside(model.name)
    came_from = made_by.weights if made_by is not None and made_by.weights is not None else built.origin
    return Start(origin, came_from, built.base_model, trained, built.unused, built.processor, built.model)


def _locate(request: Request) -> tuple[StartOrigin, Location, Location | None]:
    assert request.model is not None and request.start is not None
    probe = StageFolder(request.folder / "probe")
    if request.start is StartKind.CHECKPOINT:
        return StartOrigin(request.start, request.config.finetune.from_), request.model, None
    if request.start is StartKind.PROBE or ("probe" in request.config.stages and probe.metrics.is_file()):
        return StartOrigin(StartKind.PROBE), locate_start(str(probe.path)), None
    return StartOrigin(request.start), request.model, request.weights


def warn_of_leak(request: Request, splits: Splits) -> None:
    """Warn if validation or test images of this run were training images of the run that `--from` names."""
    run = request.trained_by
    trained = run.image_hashes("train") if run is not None else None
    if run is None or trained is None:
        return
    for name, images in (("validation", splits.validation), ("test", splits.test)):
        seen = int(np.isin(image_hashes(images), trained).sum())
        if seen:
            effect = "what is chosen on them" if name == "validation" else "what is measured on them"
            say(
                f"warning: {seen:,} of {len(images):,} {name} images were trained on by the run in {run.folder}: "
                f"{effect} is too optimistic; use the --seed of that run"
            )


def _has_head_for(label_names: list[str], location: Location) -> bool:
    """Return whether the logits of a saved model are those of the labels, in the same order."""
    if location.kind == "torchvision":
        return False
    names = load_config(location).id2label or {}
    return [names[index] for index in sorted(names)] == label_names

"""Find the published model that weights derive from: a model card's base model."""

from pathlib import Path
from typing import Any

import yaml

from hf_cifar.config.locate import Location
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.utils.network import is_hub_id, split_revision

CARD_FILE = "README.md"
# torchvision's weights as they are published on the Hub.
TORCHVISION_ORIGINS = {
    ("resnet18", "IMAGENET1K_V1"): "timm/resnet18.tv_in1k",
    ("resnet34", "IMAGENET1K_V1"): "timm/resnet34.tv_in1k",
    ("resnet50", "IMAGENET1K_V1"): "timm/resnet50.tv_in1k",
    ("resnet50", "IMAGENET1K_V2"): "timm/resnet50.tv2_in1k",
}


def base_model_of(location: Location, arch: str | None = None) -> str | None:
    """Return the Hub id of the model that weights derive from; None if there is none, or it is not known.

    Args:
        location: of the weights.
        arch: torchvision's name of the network, for its weights.
    """
    if location.kind == "hub":
        return location.name
    if location.kind == "torchvision":
        return TORCHVISION_ORIGINS.get((str(arch), location.name))
    if location.kind != "folder":
        return None
    metrics = metrics_beside(location.name)
    return metrics["base_model"] if "base_model" in metrics else _of_card(Path(location.name) / CARD_FILE)


def metrics_beside(model: str) -> dict[str, Any]:
    """Return the metrics of the stage that saved a model; empty if it was saved by another program."""
    return StageFolder(Path(model).expanduser().parent).done() or {}


def _of_card(card: Path) -> str | None:
    """Return the base model in the header of a model card, if it is one model of the Hub."""
    if not card.is_file():
        return None
    before, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---\n")
    try:
        header = None if before else yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return None
    base = header.get("base_model") if isinstance(header, dict) else None
    if isinstance(base, list) and len(base) == 1:
        base = base[0]
    return split_revision(base)[0] if isinstance(base, str) and is_hub_id(base) else None

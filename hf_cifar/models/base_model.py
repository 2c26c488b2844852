"""Which published model weights go back to: what a model card calls the base model."""

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
    """The Hub id that weights go back to; None where there is none, or none is known.

    Args:
        location: of the weights.
        arch: the name of the network, where the weights are torchvision's.
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
    """What the stage that made a saved model says of it; nothing where no stage of ours did."""
    return StageFolder(Path(model).expanduser().parent).done() or {}


def _of_card(card: Path) -> str | None:
    """The base model in the header of a model card, where it is one model of the Hub."""
    if not card.is_file():
        return None
    before, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---\n")
    try:
        header = None if before else yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return None
    found = header.get("base_model") if isinstance(header, dict) else None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return split_revision(found)[0] if isinstance(found, str) and is_hub_id(found) else None

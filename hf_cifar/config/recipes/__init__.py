"""Named defaults, one YAML file each; which of them a model gets; and how YAML is read and written."""

import re
from pathlib import Path
from typing import Any

import yaml

from hf_cifar.config.fields import check_depth, merged
from hf_cifar.errors import InputError, unknown_name

RECIPES = Path(__file__).parent
PROVENANCE = "provenance"
MAX_YAML_BYTES = 2**20
# `model_type`s of transformers that are fine-tuned with AdamW; every other one gets the recipe of the ResNets.
# fmt: off
ADAMW_MODEL_TYPES = frozenset((
    "aimv2", "beit", "clip", "clip_vision_model", "convnext", "convnextv2", "cvt", "data2vec-vision", "deit",
    "dinov2", "dinov2_with_registers", "dinov3_convnext", "dinov3_vit", "donut-swin", "focalnet", "hiera", "ijepa",
    "levit", "metaclip_2", "mobilevit", "mobilevitv2", "poolformer", "pvt", "pvt_v2", "segformer", "siglip",
    "siglip2", "siglip2_vision_model", "siglip_vision_model", "swiftformer", "swin", "swinv2", "vit", "vit_hybrid",
    "vit_mae", "vit_msn",
))
# fmt: on
# First word of the same families' names in timm, such as `vit` of `vit_base_patch16_224`.
# fmt: off
ADAMW_TIMM_FAMILIES = frozenset((
    "beit", "beitv2", "cait", "coat", "coatnet", "convit", "convnext", "convnextv2", "crossvit", "davit", "deit",
    "deit3", "edgenext", "efficientformer", "efficientformerv2", "eva", "eva02", "flexivit", "focalnet", "gcvit",
    "hiera", "levit", "maxvit", "maxxvit", "mobilevit", "mobilevitv2", "mvitv2", "nest", "pit", "poolformer",
    "poolformerv2", "pvt", "samvit", "sequencer2d", "swiftformer", "swin", "swinv2", "tiny", "tnt", "twins",
    "visformer", "vit", "vitamin", "volo", "xcit",
))
# fmt: on


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_for(model_config: dict[str, Any] | None) -> str:
    """Return the recipe of a network that is trained without one being named: `vit` or `resnet`.

    Args:
        model_config: the content of its config.json; None for torchvision's networks, and where it is not known.
    """
    values = model_config or {}
    kind = str(values.get("model_type", ""))
    if kind in ("", "timm_wrapper"):  # timm's own config.json has no model type
        family = re.split(r"[_.]", str(values.get("architecture", "")))[0]
        return "vit" if family in ADAMW_TIMM_FAMILIES else "resnet"
    return "vit" if kind in ADAMW_MODEL_TYPES else "resnet"


def read_recipe(name: str) -> dict[str, Any]:
    """Return the values of a recipe, laid over those of the recipe that it extends.

    Raises:
        InputError: there is no such recipe; the nearest name is given.
    """
    if name not in recipe_names():
        raise unknown_name("recipe", name, recipe_names())
    values = read_yaml(RECIPES / f"{name}.yaml")
    parent = values.pop("extends", None)
    return merged(read_recipe(parent), values) if parent else values


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of configuration values, such as the `run.yaml` of an earlier run, without its provenance.

    Raises:
        InputError: the file is missing, is not YAML, or does not hold keys and values.
    """
    values = read_yaml_with_provenance(path)
    values.pop(PROVENANCE, None)
    return values


def read_yaml_with_provenance(path: Path) -> dict[str, Any]:
    """Read a `run.yaml` whole; raises as `read_yaml`."""
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise InputError(f"{path} is larger than {MAX_YAML_BYTES:,} bytes: it is no configuration")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: it is no configuration") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold keys and values, as the run.yaml of a run does")
    check_depth(values, str(path))
    return values


def to_yaml(values: dict[str, Any]) -> str:
    """Return plain values as YAML, in their own order."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)

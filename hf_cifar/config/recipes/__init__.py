"""Named defaults, one YAML file each, and how YAML is read and written."""

import json
from pathlib import Path
from typing import Any

import yaml

from hf_cifar.config.fields import merged
from hf_cifar.errors import InputError, unknown_name

RECIPES = Path(__file__).parent
PROVENANCE = "provenance"
# Families that are trained with AdamW; every other one gets the ResNets' recipe.
TRANSFORMERS = (
    "vit",
    "deit",
    "beit",
    "data2vec",
    "dino",
    "swin",
    "convnext",
    "clip",
    "siglip",
    "mae",
    "eva",
    "jepa",
    "pvt",
    "hiera",
    "focalnet",
    "segformer",
    "poolformer",
    "swiftformer",
    "cvt",
)


def recipe_names() -> list[str]:
    """The recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def default_recipe(model: str) -> str:
    """The recipe of a model that is asked for without one: `vit` for transformers and their like, else `resnet`.

    Args:
        model: a name, Hub id or folder; a folder is known by its config.json, anything else by its name.
    """
    kind = model.lower()
    file = Path(model).expanduser() / "config.json"
    if file.is_file():
        config = json.loads(file.read_text(encoding="utf-8"))
        # timm's say which network they are of by another key.
        kind = str(config.get("architecture") or config.get("model_type", "")).lower()
    return "vit" if any(family in kind for family in TRANSFORMERS) else "resnet"


def read_recipe(name: str) -> dict[str, Any]:
    """The values of one recipe, over those of the recipe that it extends."""
    if name not in recipe_names():
        raise unknown_name("recipe", name, recipe_names())
    values = read_yaml(RECIPES / f"{name}.yaml")
    parent = values.pop("extends", None)
    return merged(read_recipe(parent), values) if parent else values


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of configuration values, such as the `run.yaml` of an earlier run.

    Raises:
        InputError: the file is missing, is no YAML, or does not hold keys and values.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold keys and values, as the run.yaml of a run does")
    values.pop(PROVENANCE, None)
    return values


def to_yaml(values: dict[str, Any]) -> str:
    """Plain values as YAML, in their own order."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)

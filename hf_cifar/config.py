"""The configuration of a run: dataclasses, recipes, YAML in and out.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from contextlib import suppress
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import yaml

from hf_cifar.errors import InputError, unknown_name

RECIPES = Path(__file__).parent / "recipes"
STAGES = ("probe",)
DEFAULT_RECIPE = "resnet"
PROVENANCE = "provenance"

RESERVED_TRAINING_ARGUMENTS = {
    "remove_unused_columns": "it must stay off, or the images never reach their transform",
    "label_names": "the package knows its labels",
    "do_train": "--stage says what is done",
    "do_eval": "--stage says what is done",
    "do_predict": "--stage says what is done",
    "eval_strategy": "the probe is evaluated on validation after every epoch",
    "load_best_model_at_end": "the probe keeps the best head of its grid, chosen on validation",
    "metric_for_best_model": "the probe chooses by validation accuracy",
    "resume_from_checkpoint": "use --resume, which checks that the folder belongs to this run",
    "push_to_hub": "nothing leaves this machine in this stage",
}


def option(default: Any, help: str, *, choices: tuple[str, ...] | None = None, metavar: str | None = None) -> Any:
    """A dataclass field that is also a command-line flag; `help` is its documentation in both places."""
    metadata = {"help": help, "choices": choices, "metavar": metavar}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class DataConfig:
    """Where the images come from and how they are split."""

    dataset: str = option(
        "cifar10",
        "cifar10, digits (bundled), a Hub id such as USER/NAME, a folder of Parquet files in the Hub's layout, "
        "or an image folder (train/CLASS/*.png)",
        metavar="NAME|HUB_ID|DIR",
    )
    dataset_config: str | None = option(None, "configuration of a Hub dataset that has several")
    dataset_revision: str | None = option(None, "branch, tag or commit of a Hub dataset")
    image_column: str | None = option(None, "column of the images; found from the features if not given")
    label_column: str | None = option(None, "column of the labels; found from the features if not given")
    val_fraction: float = option(
        0.1,
        "part of train held out for validation where the dataset has no validation split; stratified, seeded",
    )
    max_train_samples: int | None = option(None, "train on at most so many images, a stratified seeded choice")
    max_eval_samples: int | None = option(
        None, "use at most so many images of validation, and of test; a stratified seeded choice"
    )
    skip_corrupt: bool = option(False, "leave out images that cannot be read, and count them in metrics.json")

    def __post_init__(self) -> None:
        if not 0 < self.val_fraction < 1:
            raise InputError(f"--val-fraction is {self.val_fraction}: it must lie between 0 and 1, as in 0.1")
        for name in ("max_train_samples", "max_eval_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{flag(name)} is {value}: it must be at least 1")


@dataclass
class ModelConfig:
    """Which network, with which weights, seeing images how."""

    model: str = option(
        "resnet18",
        "resnet18, resnet34, resnet50 (torchvision), resnet18-mini (bundled), a Hub id or a saved folder",
        metavar="NAME|HUB_ID|DIR",
    )
    weights: str | None = option(
        None,
        "a torchvision name such as IMAGENET1K_V1 (the default of torchvision models), a .pth or .safetensors file, "
        "a folder, a Hub id, or none for random weights",
        metavar="NAME|FILE|DIR|HUB_ID|none",
    )
    image_size: int | None = option(
        None,
        "side of the square image that the network sees, in pixels; default: that of the weights' processor",
    )
    normalization: str = option(
        "backbone",
        "mean and standard deviation: those that the backbone was trained with, or the dataset's own",
        choices=("backbone", "dataset"),
    )

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < 8:
            raise InputError(f"--image-size is {self.image_size}: it must be at least 8 pixels")


@dataclass
class ProbeConfig:
    """A linear head on frozen features. Values come from the recipe where they are not given."""

    features: str = option(
        "cached",
        "cached: one pass through the backbone, kept for the next run; online: every epoch through the backbone",
        choices=("cached", "online"),
    )
    solver: str = option(
        "trainer",
        "trainer: a grid of heads by SGD in one Trainer run; lbfgs: logistic regression over a path of strengths",
        choices=("trainer", "lbfgs"),
    )
    augment: str | None = option(
        None,
        "augmentation of the training images; default: standard for online features, none for cached ones",
        choices=("none", "standard"),
    )
    feature_cache: str | None = option(
        None,
        "folder of the cached features; default: $HF_CIFAR_CACHE, or hf_cifar in the user's cache",
        metavar="DIR",
    )
    learning_rates: list[float] = option(
        [0.01],
        "the grid of the trainer solver, on a cosine schedule; --learning-rate trains one head at a constant rate",
        metavar="LR,LR,…",
    )
    momentum: float = option(0.9, "of SGD")
    strengths: list[float] = option(
        [1e-3],
        "the L2 strengths tried by lbfgs, per image (1 / (n C) in scikit-learn's terms)",
        metavar="L2,L2,…",
    )
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.features == "cached" and self.augment not in (None, "none"):
            raise InputError(
                f"--augment {self.augment} with --features cached: cached features are computed once, "
                "without augmentation; use --features online"
            )
        if self.features == "online" and self.solver == "lbfgs":
            raise InputError("--solver lbfgs needs all features at once: use --features cached")
        for name in ("learning_rates", "strengths"):
            values = getattr(self, name)
            if not values or min(values) < 0:
                raise InputError(f"{flag(name)} is {values}: at least one number is needed, none below 0")

    @property
    def augmentation(self) -> str:
        """The augmentation in force, once the default is resolved."""
        return self.augment or ("standard" if self.features == "online" else "none")


@dataclass
class RunConfig:
    """Everything that rules a run; `run.yaml` holds it whole."""

    stage: str = option("probe", "what to do", choices=STAGES)
    recipe: str | None = option(None, "named defaults, from hf_cifar/recipes; default: resnet", metavar="NAME")
    output_dir: str | None = option(None, "folder of the run; default: runs/MODEL-DATASET", metavar="DIR")
    seed: int = option(0, "rules the split, the order of the images and every random draw")
    resume: bool = option(False, "go on in an output folder that is in use, from its last checkpoint")
    overwrite: bool = option(False, "replace what an output folder that is in use holds")
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise InputError("--resume and --overwrite exclude each other: give one of them")
        if self.output_dir is None:
            parts = (self.model.model, self.data.dataset)
            self.output_dir = str(Path("runs") / "-".join(Path(part).name for part in parts))

    @property
    def folder(self) -> Path:
        """`output_dir` as a path."""
        assert self.output_dir is not None
        return Path(self.output_dir)

    @classmethod
    def build(cls, *layers: dict[str, Any]) -> "RunConfig":
        """A configuration from nested dictionaries, later ones over earlier ones, over the recipe.

        Args:
            layers: such as the content of a YAML file, then the flags of the command line.

        Raises:
            InputError: a key, choice or recipe that does not exist (the nearest is named), or a value of a wrong type.
        """
        given: dict[str, Any] = {}
        for layer in layers:
            given = merged(given, layer)
        recipe = given.get("recipe") or DEFAULT_RECIPE
        values = merged(read_recipe(recipe), given)
        config: RunConfig = _construct(cls, {**values, "recipe": recipe}, "")
        return config

    @classmethod
    def from_recipe(cls, recipe: str, **overrides: Any) -> "RunConfig":
        """A recipe with some values replaced: `RunConfig.from_recipe("demo", output_dir="runs/x")`.

        Args:
            recipe: the name of a file in `hf_cifar/recipes`.
            overrides: fields of any part, by their names; they are unique across the parts.
        """
        return cls.build(nested({"recipe": recipe, **overrides}))

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `build` takes them, without what belongs to one call only."""
        values = asdict(self)
        del values["resume"], values["overwrite"]
        return values


def flag(name: str) -> str:
    """The command-line spelling of a field."""
    return "--" + name.replace("_", "-")


def flags() -> dict[str, tuple[str | None, Field[Any]]]:
    """Every field that is a flag: its name -> (the part of `RunConfig` it belongs to, the field)."""
    found: dict[str, tuple[str | None, Field[Any]]] = {}
    for item in fields(RunConfig):
        if item.metadata:
            found[item.name] = (None, item)
        elif item.default_factory is not MISSING and is_dataclass(item.default_factory):
            found.update({sub.name: (item.name, sub) for sub in fields(item.default_factory) if sub.metadata})
    return found


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Field names without their part -> the nested form; unknown names are taken as TrainingArguments fields."""
    known = flags()
    result: dict[str, Any] = {}
    for name, value in flat.items():
        part = known[name][0] if name in known else "probe.training"
        target = result
        for key in part.split(".") if part else ():
            target = target.setdefault(key, {})
        target[name] = value
    return result


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid over it, dictionaries key by key."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def recipe_names() -> list[str]:
    """The recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


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


def _construct(cls: type, values: dict[str, Any], where: str) -> Any:
    """Build a config dataclass from a dictionary, checking every key and value."""
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name("configuration key", where + str(key), [where + name for name in known])
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise InputError(f"{where}{key} must hold keys and values, not {value!r}")
            arguments[key] = _construct(hints[key], value, f"{where}{key}.")
        else:
            arguments[key] = _checked(where + key, value, hints[key], known[key].metadata.get("choices"))
    return cls(**arguments)


def _checked(name: str, value: Any, kind: Any, choices: tuple[str, ...] | None) -> Any:
    """`value` as `kind`, where nothing is lost by it; an `InputError` elsewhere."""
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if value is None and type(None) in options:
        return None
    target = next(option for option in options if option is not type(None))
    if target == list[float]:
        value = value if isinstance(value, list) else [value]
        return [_checked(name, item, float, None) for item in value]
    if target == dict[str, Any]:
        target = dict
    if target is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as text.
        with suppress(ValueError):
            value = float(value)
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, target) or (target is int and isinstance(value, bool)):
        raise InputError(f"{name} is {value!r}: it must be of type {target.__name__}")
    if choices is not None and value not in choices:
        raise unknown_name(name, value, choices)
    return value

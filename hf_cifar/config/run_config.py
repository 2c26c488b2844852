"""The configuration of a run, from the layers that it is laid down in: recipe, YAML file, command line.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from dataclasses import Field, asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_cifar.config import fields
from hf_cifar.config.fields import TRAINING, flag, merged, option
from hf_cifar.config.parts import (
    AugmentationConfig,
    ComparisonConfig,
    DataConfig,
    EvaluationConfig,
    FinetuneConfig,
    HubConfig,
    ModelConfig,
    PredictionConfig,
    ProbeConfig,
)
from hf_cifar.config.recipes import default_recipe, read_recipe
from hf_cifar.errors import InputError

# A training argument of ours: the images of a batch over all processes.
TRAIN_BATCH_SIZE = "train_batch_size"
# What each stage trains; a training stage is also the name of its part of the configuration.
STAGES: dict[str, tuple[str, ...]] = {
    "probe": ("probe",),
    "finetune": ("finetune",),
    "lpft": ("probe", "finetune"),
    "evaluate": (),
    "predict": (),
    "compare": (),
    "export": (),
    "push": (),
}
FOLDERS_OF_A_RUN = (*STAGES, "model")
# Training arguments that say how to compute, not what: given with lpft, they hold in both of its stages.
SHARED_TRAINING_ARGUMENTS = (
    "use_cpu",
    "full_determinism",
    "data_seed",
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "dataloader_prefetch_factor",
    "ddp_backend",
    "ddp_timeout",
    "report_to",
    "tf32",
)


@dataclass
class RunConfig:
    """Everything that rules a run; `run.yaml` holds it whole."""

    stage: str = option(
        "probe",
        "probe: train a head on the frozen backbone; finetune: train the backbone too; lpft: one after the other; "
        "evaluate: measure a model on a split; predict: answer images; compare: runs side by side; "
        "export: a folder that opens anywhere, checked; push: that folder to the Hub",
        choices=tuple(STAGES),
    )
    recipe: str | None = option(
        None, "named defaults, from hf_cifar/recipes; default: vit for transformers, resnet otherwise", metavar="NAME"
    )
    output_dir: str | None = option(None, "folder of the run; default: runs/MODEL-DATASET", metavar="DIR")
    checkpoint: str | None = option(
        None,
        "evaluate, predict, export, push: a run, one of its stages, a saved model, or USER/NAME of the Hub "
        "(USER/NAME@REVISION: at a branch, tag or commit); default: the last stage of --output-dir",
        metavar="DIR|HUB_ID",
    )
    seed: int = option(0, "rules the split, the order of the images and every random draw")
    momentum: float = option(0.9, "of SGD, in both stages")
    resume: bool = option(False, "go on in an output folder that is in use, from its last checkpoint")
    overwrite: bool = option(False, "replace what an output folder that is in use holds")
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    prediction: PredictionConfig = field(default_factory=PredictionConfig)
    comparison: ComparisonConfig = field(default_factory=ComparisonConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise InputError("--resume and --overwrite exclude each other: give one of them")
        if not 0 <= self.momentum < 1:
            raise InputError(f"--momentum is {self.momentum}: it must be at least 0, and below 1")
        if self.seed < 0:
            raise InputError(f"--seed is {self.seed}: it must not be below 0")
        if self.output_dir is None:
            self.output_dir = str(Path("runs") / self._folder_name())
        if self.stages == ("probe",):
            self._check_augmentation_of_probe()
        if self.finetune.from_ is not None and "probe" in self.stages:
            raise InputError(
                f"--from with --stage {self.stage}: fine-tuning starts from the probe; use --stage finetune"
            )

    def _folder_name(self) -> str:
        if self.stage == "compare":
            return self.stage
        parts = Path((self.checkpoint or self.model.model).partition("@")[0]).expanduser().parts
        # runs/a/finetune/model is the model of run a.
        named = [part for part in parts if part not in FOLDERS_OF_A_RUN] or parts
        return f"{named[-1]}-{Path(self.data.dataset).name}"

    def _check_augmentation_of_probe(self) -> None:
        asked = self.augmentation.asked_for
        if asked and self.probe.features == "cached":
            raise InputError(
                f"{asked[0]} with --features cached: cached features are computed once, without augmentation; "
                "use --features online"
            )
        if self.augmentation.mixup or self.augmentation.cutmix:
            raise InputError(f"{asked[-1]} with --stage probe: only fine-tuning mixes images")

    @property
    def stages(self) -> tuple[str, ...]:
        """What `stage` consists of, in order."""
        return STAGES[self.stage]

    @property
    def folder(self) -> Path:
        """`output_dir` as a path."""
        assert self.output_dir is not None
        return Path(self.output_dir)

    @property
    def computing(self) -> dict[str, Any]:
        """The training arguments that say how to compute, for the stages that train nothing."""
        return {name: value for name, value in self.finetune.training.items() if name in SHARED_TRAINING_ARGUMENTS}

    @property
    def augment(self) -> dict[str, str]:
        """For each training stage the augmentation in force, once the default is resolved."""
        asked = self.augmentation.augment or "standard"
        return {"probe": asked if self.probe.features == "online" else "none", "finetune": asked}

    @classmethod
    def build(cls, *layers: dict[str, Any]) -> "RunConfig":
        """A configuration from nested dictionaries, later ones over earlier ones, over the recipe.

        Args:
            layers: such as the content of a YAML file, then the flags of the command line. Training arguments under
                the key `training` go to the stage that is run; with lpft to the fine-tuning, but those that say how
                to compute (`SHARED_TRAINING_ARGUMENTS`) to both stages.

        Raises:
            InputError: a key, choice or recipe that does not exist (the nearest is named), or a value of a wrong type.
        """
        asked: dict[str, Any] = {}
        for layer in layers:
            asked = merged(asked, {key: value for key, value in layer.items() if not isinstance(value, dict)})
        model = next((layer["model"]["model"] for layer in layers[::-1] if "model" in layer.get("model", ())), None)
        recipe = asked.get("recipe") or default_recipe(str(model or ModelConfig.model))
        defaults = read_recipe(recipe)
        stage = str(asked.get("stage") or defaults.get("stage", cls.stage))
        values = defaults
        for layer in layers:
            values = merged(values, _distributed(layer, stage))
        config: RunConfig = fields.construct(cls, {**values, "recipe": recipe})
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
        for name in ("checkpoint", "resume", "overwrite", "prediction", "comparison", "hub"):
            del values[name]
        return values


def flags() -> dict[str, tuple[str | None, Field[Any]]]:
    """Every field that is a flag: its name -> (the part of `RunConfig` it belongs to, the field)."""
    return fields.flags(RunConfig)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Field names without their part -> the nested form; unknown names are taken as TrainingArguments fields."""
    return fields.nested(RunConfig, flat)


def _distributed(layer: dict[str, Any], stage: str) -> dict[str, Any]:
    """A layer with its `training` handed to the stages that it is for."""
    layer = dict(layer)
    given = layer.pop(TRAINING, {})
    if not isinstance(given, dict):
        raise InputError(f"{TRAINING} must hold keys and values, not {given!r}")
    if "hub_token" in given:
        raise InputError(
            "--hub-token is not an option, so that no token ends up in a file or a list of commands: "
            "set HF_TOKEN, log in with `hf auth login`, or give --hub-token-file FILE"
        )
    shared = {name: value for name, value in given.items() if name in SHARED_TRAINING_ARGUMENTS}
    trained = STAGES.get(stage, ("probe",))
    if given and not trained and len(shared) < len(given):
        name = next(name for name in given if name not in shared)
        raise InputError(f"{flag(name)} with --stage {stage}: nothing is trained there")
    # What does not train computes as fine-tuning would.
    last, *others = (trained or ("finetune",))[::-1]
    for part, arguments in ((last, given), *((other, shared) for other in others)):
        if arguments:
            layer = merged({part: {TRAINING: arguments}}, layer)
    return layer

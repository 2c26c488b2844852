"""The configuration of a run: every option, in parts.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from dataclasses import Field, asdict, dataclass
from pathlib import Path
from typing import Any

from hf_cifar.config import fields
from hf_cifar.config.fields import Range, Usual, option, part
from hf_cifar.config.layers import lay_over
from hf_cifar.config.options.audit import AuditConfig
from hf_cifar.config.options.augmentation import AugmentationConfig
from hf_cifar.config.options.comparison import ComparisonConfig
from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.options.demo import DemoConfig
from hf_cifar.config.options.evaluation import EvaluationConfig
from hf_cifar.config.options.export import ExportConfig
from hf_cifar.config.options.finetune import FinetuneConfig
from hf_cifar.config.options.hub import HubConfig
from hf_cifar.config.options.imbalance import ImbalanceConfig
from hf_cifar.config.options.model import ModelConfig
from hf_cifar.config.options.prediction import PredictionConfig
from hf_cifar.config.options.probe import ProbeConfig
from hf_cifar.config.recipes import read_recipe, read_yaml
from hf_cifar.config.stages import EXPORTING_STAGES, FINETUNING_STAGES, MEASURING_STAGES, STAGES, TRAINING_STAGES
from hf_cifar.errors import InputError

MAX_SEED = 2**64 - 1
# What belongs to one call and not to the run: `run.yaml` leaves it out.
OF_ONE_CALL = (
    "checkpoint",
    "resume",
    "overwrite",
    "audit",
    "prediction",
    "comparison",
    "demo",
    "export",
    "hub",
)


@dataclass
class RunConfig:
    """Everything that defines a run; `run.yaml` holds it whole. `run.resolve` makes it from what was asked for."""

    stage: str = option(
        "probe",
        "probe: train a head on the frozen backbone; finetune: train the backbone too; lpft: probe, then finetune; "
        "audit: duplicates, leaks between splits and doubtful labels of a dataset; "
        "evaluate: measure a model on a split; predict: classify images; compare: runs side by side; "
        "demo: a local page that classifies images and the camera's; export: a checked folder that opens anywhere; "
        "push: that folder to the Hub",
        choices=tuple(STAGES),
        stages=tuple(STAGES),
    )
    recipe: str | None = option(
        None,
        "named defaults, from hf_cifar/config/recipes; default: vit for transformers, resnet otherwise, by the "
        "model_type in the model's config.json",
        metavar="NAME",
        stages=TRAINING_STAGES,
        usual=Usual("results", "named defaults (default: by the kind of model, resnet or vit)"),
    )
    output_dir: str | None = option(
        None,
        "folder of the run; default: runs/MODEL-DATASET",
        metavar="DIR",
        stages=tuple(STAGES),
        usual=Usual("results", rare_in=("predict",)),
    )
    checkpoint: str | None = option(
        None,
        "a run, one of its stages, a saved model, or USER/NAME on the Hub (USER/NAME@REVISION: a branch, tag or "
        "commit); default: the last stage of --output-dir",
        metavar="DIR|HUB_ID",
        stages=("evaluate", "predict", "demo", "export", "push"),
        usual=Usual("model", "as RUN: a run, saved model or Hub id (default: as in --output-dir)"),
    )
    seed: int = option(
        0,
        "seed of the splits, the order of the images and every random draw",
        range=Range(0, MAX_SEED),
        stages=(*MEASURING_STAGES, "audit", *EXPORTING_STAGES),
        usual=Usual(
            "results",
            "of the splits, the order of the images and every random draw",
            rare_in=("evaluate", "export", "push"),
        ),
    )
    seeds: list[int] = option(
        [],
        "run the stage once a seed, into OUTPUT_DIR/seed-N, on the same splits: mean, standard deviation and interval; "
        "the one that is best on validation becomes the run's model",
        metavar="N,N,…",
        range=Range(0, MAX_SEED),
        stages=TRAINING_STAGES,
    )
    momentum: float = option(
        0.9, "momentum of SGD, in both stages", range=Range(0, 1, open_high=True), stages=TRAINING_STAGES
    )
    resume: bool = option(
        False,
        "continue the run in --output-dir from its last checkpoint",
        stages=TRAINING_STAGES,
        usual=Usual("results"),
    )
    overwrite: bool = option(
        False,
        "replace what --output-dir, or --output, holds",
        stages=(*MEASURING_STAGES, "audit", "predict", "compare"),
        usual=Usual("results"),
    )
    data: DataConfig = part(DataConfig, (*MEASURING_STAGES, "audit", *EXPORTING_STAGES))
    model: ModelConfig = part(ModelConfig, (*TRAINING_STAGES, "audit"))
    augmentation: AugmentationConfig = part(AugmentationConfig, TRAINING_STAGES)
    imbalance: ImbalanceConfig = part(ImbalanceConfig, TRAINING_STAGES)
    probe: ProbeConfig = part(ProbeConfig, ("probe", "lpft"))
    finetune: FinetuneConfig = part(FinetuneConfig, FINETUNING_STAGES)
    evaluation: EvaluationConfig = part(EvaluationConfig, MEASURING_STAGES)
    audit: AuditConfig = part(AuditConfig, ("audit",))
    prediction: PredictionConfig = part(PredictionConfig, ("predict",))
    comparison: ComparisonConfig = part(ComparisonConfig, ("compare",))
    demo: DemoConfig = part(DemoConfig, ("demo",))
    export: ExportConfig = part(ExportConfig, EXPORTING_STAGES)
    hub: HubConfig = part(HubConfig, (*TRAINING_STAGES, *EXPORTING_STAGES))

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise InputError("--resume and --overwrite exclude each other: give one of them")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the training stages that `stage` consists of, in order."""
        return STAGES[self.stage]

    @property
    def folder(self) -> Path:
        """Return `output_dir` as a path; `run.resolve` has set it."""
        assert self.output_dir is not None
        return Path(self.output_dir)

    @property
    def use_cpu(self) -> bool:
        """Return whether a stage that trains nothing is to compute on the CPU in any case."""
        return bool(self.finetune.training.get("use_cpu", False))

    @property
    def shows_progress(self) -> bool:
        """Return whether progress is shown; `--disable-tqdm`, named as in transformers, hides it."""
        return not any(part.training.get("disable_tqdm", False) for part in (self.probe, self.finetune))

    @property
    def num_workers(self) -> int | None:
        """Return the loader processes of a stage that trains nothing; None: the device's default."""
        workers = self.finetune.training.get("dataloader_num_workers")
        return None if workers is None else int(workers)

    @property
    def split_seed(self) -> int:
        """Return the seed of the validation split and of the choice of a subset."""
        return self.seed if self.data.split_seed is None else self.data.split_seed

    def augment(self, stage: str) -> str:
        """Return the augmentation policy in force in a training stage, once the default is resolved."""
        if stage == "probe" and self.probe.features == "cached":
            return "none"
        return self.augmentation.augment or "standard"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunConfig":
        """Build it from nested values, checking every one.

        Raises:
            InputError: a key or choice that does not exist (the nearest is named), or a value that does not fit.
        """
        config: RunConfig = fields.construct(cls, values)
        return config

    @classmethod
    def read(cls, path: Path) -> "RunConfig":
        """Read the `run.yaml` of a run, also one that an older version wrote.

        Raises:
            InputError: the file is missing, damaged or no such file.
        """
        values = read_yaml(path)
        recipe = values.get("recipe")
        return cls.from_dict(lay_over(read_recipe(recipe), values) if recipe else values)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values, as `from_dict` takes them, without what belongs to one call."""
        return {name: value for name, value in asdict(self).items() if name not in OF_ONE_CALL}


def flags() -> dict[str, tuple[str | None, Field[Any]]]:
    """Return every field that is a flag: its name -> (the part of `RunConfig` that it belongs to, the field)."""
    return fields.flags(RunConfig)


def stages_of(name: str) -> tuple[str, ...]:
    """Return the stages in which an option does something.

    Args:
        name: of a field that is a flag.
    """
    section, item = flags()[name]
    own: tuple[str, ...] | None = item.metadata["stages"]
    if own is not None:
        return own
    assert section is not None, f"{name} names no stages"
    of_part: tuple[str, ...] = RunConfig.__dataclass_fields__[section].metadata["stages"]
    return of_part


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Return flat field names in the nested form; unknown names are taken as fields of TrainingArguments."""
    return fields.nested(RunConfig, flat)

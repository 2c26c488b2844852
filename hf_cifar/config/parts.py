"""The parts of a run's configuration, one dataclass each; every field is a flag of the command line.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from dataclasses import dataclass, field
from typing import Any

from hf_cifar.config.fields import flag, option
from hf_cifar.errors import InputError

SPLITS = ("train", "validation", "test", "all")
SCHEDULES = (
    "step",
    "plateau",
    "cosine",
    "linear",
    "constant",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "inverse_sqrt",
    "warmup_stable_decay",
)


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
        "resnet18, resnet34, resnet50 (torchvision), resnet18-mini (bundled), vit-base, deit-small, dinov2-small, "
        "dinov2-base (on the Hub), any image classifier's Hub id (USER/NAME, or USER/NAME@REVISION) or saved folder",
        metavar="NAME|HUB_ID|DIR",
    )
    weights: str | None = option(
        None,
        "a torchvision name such as IMAGENET1K_V1 (the default of torchvision models), a .pth or .safetensors file, "
        "a folder, a Hub id (USER/NAME@REVISION too), or none for random weights",
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
class AugmentationConfig:
    """How training images are varied. Evaluation images never are."""

    augment: str | None = option(
        None,
        "none; crop: shifts by up to an eighth; standard: crop and horizontal flip; trivial: standard and "
        "TrivialAugment; rand: standard and RandAugment (default: standard, but none for a probe on cached features)",
        choices=("none", "crop", "standard", "trivial", "rand"),
    )
    random_erasing: float = option(0.0, "probability that a random rectangle of a training image is blanked")
    mixup: float = option(0.0, "fine-tuning: alpha of MixUp, which blends pairs of images; 0: off")
    cutmix: float = option(
        0.0, "fine-tuning: alpha of CutMix, which pastes a part of one image into another; 0: off; with MixUp: in turn"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.random_erasing <= 1:
            raise InputError(f"--random-erasing is {self.random_erasing}: it is a probability, from 0 to 1")
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise InputError(f"{flag(name)} is {getattr(self, name)}: it must be 0 (off) or more")

    @property
    def asked_for(self) -> list[str]:
        """The flags that were given and switch something on."""
        given = [] if self.augment in (None, "none") else [f"--augment {self.augment}"]
        names = ("random_erasing", "mixup", "cutmix")
        return given + [f"{flag(name)} {getattr(self, name):g}" for name in names if getattr(self, name)]


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
    strengths: list[float] = option(
        [1e-3],
        "the L2 strengths tried by lbfgs, per image (1 / (n C) in scikit-learn's terms)",
        metavar="L2,L2,…",
    )
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.features == "online" and self.solver == "lbfgs":
            raise InputError("--solver lbfgs needs all features at once: use --features cached")
        for name in ("learning_rates", "strengths"):
            values = getattr(self, name)
            if not values or min(values) < 0:
                raise InputError(f"{flag(name)} is {values}: at least one number is needed, none below 0")


@dataclass
class FinetuneConfig:
    """Training the backbone. Values come from the recipe where they are not given."""

    from_: str | None = option(
        None,
        "where fine-tuning starts: a run, one of its stages, a saved model or a Hub id; default: this run's probe, or "
        "else the pretrained model with a new head",
        metavar="DIR|HUB_ID",
    )
    unfreeze: str = option(
        "all",
        "all: every layer trains; gradual: the head and the last layer group first, then one more group at a time; "
        "LAYER,LAYER…: these layers and the head, the others stay frozen",
        metavar="all|gradual|LAYER,…",
    )
    unfreeze_every: int = option(1, "epochs between two groups of --unfreeze gradual")
    bn: str = option(
        "eval",
        "BatchNorm while fine-tuning: eval keeps the pretrained statistics, train goes on counting them",
        choices=("eval", "train"),
    )
    layer_decay: float = option(
        1.0, "layer-wise learning-rate decay: each layer group has this times the rate of the one above it; 1: none"
    )
    head_lr: float | None = option(None, "learning rate of the head; default: --learning-rate")
    scheduler: str = option(
        "cosine",
        "learning-rate schedule; --warmup-steps N (or a part of all steps, below 1) is the ramp in front of it",
        choices=SCHEDULES,
    )
    step_size: int = option(5, "step: epochs between two drops of the learning rate")
    gamma: float = option(0.1, "step and plateau: what the learning rate is multiplied by at a drop")
    plateau_patience: int = option(2, "plateau: epochs without a better validation metric before a drop")
    selection_metric: str = option(
        "accuracy",
        "validation metric by which the best epoch is kept, early stopping stops, and plateau drops",
        choices=("accuracy", "f1_macro", "nll"),
    )
    early_stopping: int | None = option(None, "stop after so many epochs without a better validation metric")
    ema: float = option(
        0.0, "average the weights over the last steps, with this decay a step (such as 0.999); 0: no averaging"
    )
    interpolate: str = option(
        "none",
        "how far to go from the start's weights (0) to the fine-tuned ones (1); auto: chosen on validation",
        metavar="none|auto|NUMBER",
    )
    gradient_checkpointing: bool = option(False, "compute activations twice instead of keeping them: less memory")
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("unfreeze_every", "step_size", "early_stopping"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{flag(name)} is {value}: it must be at least 1")
        for name in ("layer_decay", "gamma"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{flag(name)} is {getattr(self, name)}: it must be above 0, and at most 1")
        if self.head_lr is not None and self.head_lr < 0:
            raise InputError(f"--head-lr is {self.head_lr}: it must not be below 0")
        if self.plateau_patience < 0:
            raise InputError(f"--plateau-patience is {self.plateau_patience}: it must not be below 0")
        if not 0 <= self.ema < 1:
            raise InputError(f"--ema is {self.ema}: it must be 0 (off) or a decay below 1, such as 0.999")
        if not self.layers and self.unfreeze not in ("all", "gradual"):
            raise InputError("--unfreeze names nothing: give all, gradual, or layers separated by commas")
        if self.interpolate not in ("none", "auto"):
            try:
                strength = float(self.interpolate)
            except ValueError:
                strength = -1.0
            if not 0 <= strength <= 1:
                raise InputError(f"--interpolate is {self.interpolate!r}: give none, auto, or a number from 0 to 1")

    @property
    def layers(self) -> list[str]:
        """The layers that `unfreeze` names."""
        if self.unfreeze in ("all", "gradual"):
            return []
        return [name.strip() for name in self.unfreeze.split(",") if name.strip()]


@dataclass
class EvaluationConfig:
    """What is measured, and on which images."""

    split: str | None = option(
        None,
        "evaluate: the images to measure on; default: test, or every image of a dataset that has no splits",
        choices=SPLITS,
    )
    robustness: bool = option(False, "measure on corrupted evaluation images too: 5 severities of each corruption")


@dataclass
class PredictionConfig:
    """Which images are answered, and where the answers go."""

    images: list[str] = option(
        [],
        "predict: files, folders (with all below them), globs, .txt files of paths, or - for paths on standard input",
        metavar="PATH",
    )
    output: str | None = option(
        None,
        "predict: file of the answers; .csv, .jsonl or .parquet says the format (default: predictions.csv)",
        metavar="FILE",
    )
    top_k: int = option(5, "predict: how many labels each image gets")
    batch_size: int = option(64, "predict: images in one pass through the network")

    def __post_init__(self) -> None:
        for name, value in (("--top-k", self.top_k), ("--batch-size", self.batch_size)):
            if value < 1:
                raise InputError(f"{name} is {value}: it must be at least 1")


@dataclass
class ComparisonConfig:
    """Which runs are laid side by side."""

    runs: list[str] = option([], "compare: runs, or stages of runs, such as runs/a runs/b/probe", metavar="DIR")


@dataclass
class HubConfig:
    """Where on the Hub a model goes. The token is never a part of it."""

    push_to_hub: bool = option(False, "push the last stage to --hub-model-id when training is done")
    hub_model_id: str | None = option(None, "push: the repository on the Hub", metavar="USER/NAME")
    hub_token_file: str | None = option(
        None, "file that holds the Hub token; default: HF_TOKEN, or the login of `hf auth login`", metavar="FILE"
    )
    revision: str | None = option(
        None, "push: the branch to push to; it is created where it is missing (default: main)"
    )
    public: bool = option(False, "push: make a new repository public; default: private")
    dry_run: bool = option(False, "push: list what would go, and send nothing")
    license: str | None = option(
        None, "license of the model, as the Hub names it, such as apache-2.0; default: the base model's, if known"
    )

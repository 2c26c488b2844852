"""Fine-tuning of the backbone, and what chooses in every training stage."""

from dataclasses import dataclass, field
from typing import Any

from hf_cifar.config.fields import Range, Usual, at_least, option
from hf_cifar.config.stages import TRAINING_STAGES
from hf_cifar.config.training_arguments import with_trackers_listed
from hf_cifar.errors import InputError

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
SELECTION_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "nll")


@dataclass
class FinetuneConfig:
    """Fine-tuning of the backbone. Values that are not given come from the recipe."""

    from_: str | None = option(
        None,
        "what fine-tuning starts from: a run, one of its stages, a saved model or a Hub id; default: this run's probe, "
        "or else the pretrained model with a new head",
        metavar="DIR|HUB_ID",
        stages=("finetune",),
        usual=Usual("model", "a run, a saved model or a Hub id (default: this run's probe)"),
    )
    unfreeze: str = option(
        "all",
        "all: every layer trains; gradual: the head and the last layer group first, then one more group at a time; "
        "LAYER,LAYER…: these layers and the head, the others stay frozen",
        metavar="all|gradual|LAYER,…",
        usual=Usual("training", "what trains: all, gradual (from the head down), or layers by name"),
    )
    unfreeze_every: int = option(1, "epochs between two groups of --unfreeze gradual", range=at_least(1))
    bn: str = option(
        "eval",
        "BatchNorm mode: eval keeps the pretrained running statistics, train updates them",
        choices=("eval", "train"),
    )
    layer_decay: float = option(
        1.0,
        "layer-wise learning-rate decay: each layer group has this times the rate of the one above it; 1: none",
        range=Range(0, 1, open_low=True),
        usual=Usual("training", "each layer group has this times the rate of the one above it"),
    )
    head_lr: float | None = option(None, "learning rate of the head; default: --learning-rate", range=at_least(0))
    scheduler: str = option(
        "cosine",
        "learning-rate schedule, after a linear warm-up of --warmup-steps N (or a fraction of all steps, below 1)",
        choices=SCHEDULES,
        usual=Usual("training", "cosine, step, plateau, linear, constant, and those of transformers"),
    )
    step_size: int = option(5, "step: epochs between two drops of the learning rate", range=at_least(1))
    gamma: float = option(0.1, "step and plateau: factor of a drop", range=Range(0, 1, open_low=True))
    plateau_patience: int = option(
        2, "plateau: epochs without a better validation metric before a drop", range=at_least(0)
    )
    selection_metric: str = option(
        "accuracy",
        "validation metric that chooses the probe's head, the best epoch, interpolation, seed and soup, and drives "
        "early stopping and plateau; balanced_accuracy is the mean over the classes of their accuracy",
        choices=SELECTION_METRICS,
        stages=TRAINING_STAGES,
    )
    early_stopping: int | None = option(
        None,
        "stop after N epochs without a better validation metric",
        metavar="N",
        range=at_least(1),
        usual=Usual("training"),
    )
    ema: float = option(
        0.0,
        "decay per step of an exponential moving average of the weights, such as 0.999; 0: no averaging",
        range=Range(0, 1, open_high=True, hint="such as 0.999; 0 switches it off"),
    )
    interpolate: str = option(
        "none",
        "interpolate between the start's weights (0) and the fine-tuned ones (1); auto: chosen on validation",
        metavar="none|auto|NUMBER",
    )
    soup: str = option(
        "none",
        "greedy: average the weights of --seeds, the best first, as long as validation does not fall (Wortsman et al., "
        "2022); the average becomes the run's model",
        choices=("none", "greedy"),
    )
    gradient_checkpointing: bool = option(False, "recompute activations in the backward pass: less memory, more time")
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.training = with_trackers_listed(self.training)
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
        """Return the layers that `unfreeze` names."""
        if self.unfreeze in ("all", "gradual"):
            return []
        return [name.strip() for name in self.unfreeze.split(",") if name.strip()]

"""A linear head on frozen features."""

from dataclasses import dataclass, field
from typing import Any

from hf_cifar.config.fields import Usual, above, at_least, flag, option
from hf_cifar.config.training_arguments import with_trackers_listed
from hf_cifar.errors import InputError


@dataclass
class ProbeConfig:
    """A linear head on frozen features. Values that are not given come from the recipe."""

    features: str = option(
        "cached",
        "cached: one pass through the backbone, kept for the next run; online: every epoch through the backbone",
        choices=("cached", "online"),
        usual=Usual("training", "computed once and kept, or in every epoch"),
    )
    solver: str = option(
        "trainer",
        "trainer: a grid of heads by SGD in one Trainer run; lbfgs: logistic regression over a path of L2 strengths",
        choices=("trainer", "lbfgs"),
        usual=Usual("training", "a grid of learning rates, or logistic regression"),
    )
    feature_cache: str | None = option(
        None,
        "folder of the cached features, or an address such as s3://BUCKET/FOLDER that machines share (what fsspec "
        "opens), with the default folder as working copy; default: $HF_CIFAR_CACHE, or hf_cifar in the user's cache",
        metavar="DIR|URL",
        stages=("probe", "lpft", "audit"),
    )
    feature_backend: str = option(
        "auto",
        "torch; onnx: ONNX Runtime on the CPU (pip install 'hf_cifar[onnx]'); auto: onnx where it is installed, the "
        "pass is long and a first batch is faster, else torch; the features agree to 1e-5",
        choices=("auto", "torch", "onnx"),
        stages=("probe", "lpft", "audit"),
    )
    feature_dtype: str = option(
        "float32",
        "what the features of training images are computed in; bfloat16 is for accelerators, and measured numbers stay "
        "those of float32",
        choices=("float32", "bfloat16"),
    )
    learning_rates: list[float] = option(
        [0.01],
        "grid of the trainer solver, with a cosine schedule; --learning-rate trains one head at a constant rate",
        metavar="LR,LR,…",
        range=above(0),
    )
    strengths: list[float] = option(
        [1e-3],
        "L2 strengths tried by lbfgs, per image (1 / (n C) in scikit-learn's terms)",
        metavar="L2,L2,…",
        range=at_least(0),
    )
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.training = with_trackers_listed(self.training)
        if self.features == "online" and self.solver == "lbfgs":
            raise InputError("--solver lbfgs needs all features at once: use --features cached")
        if self.feature_backend == "onnx" and self.feature_dtype != "float32":
            raise InputError("--feature-backend onnx computes in float32: leave --feature-dtype out, or take torch")
        for name in ("learning_rates", "strengths"):
            if not getattr(self, name):
                raise InputError(f"{flag(name)} is empty: give at least one number")

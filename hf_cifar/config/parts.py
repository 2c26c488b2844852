"""The parts of a run's configuration, one dataclass each; every field is a command-line flag.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from dataclasses import dataclass, field
from typing import Any

from hf_cifar.config.fields import Range, above, at_least, between, flag, option
from hf_cifar.config.sizes import AUTO, bytes_of
from hf_cifar.errors import InputError, unknown_name

# What each stage trains; a training stage is also the name of its part of the configuration.
STAGES: dict[str, tuple[str, ...]] = {
    "probe": ("probe",),
    "finetune": ("finetune",),
    "lpft": ("probe", "finetune"),
    "audit": (),
    "evaluate": (),
    "predict": (),
    "compare": (),
    "demo": (),
    "export": (),
    "push": (),
}
TRAINING_STAGES = tuple(stage for stage, trained in STAGES.items() if trained)
FINETUNING_STAGES = ("finetune", "lpft")
EXPORTING_STAGES = ("export", "push")
# Forms of a model beside the native one (formats/variants.py).
VARIANTS = ("onnx", "onnx-q8", "onnx-fp16", "openvino")
NATIVE = "native"
FORMATS = (NATIVE, *VARIANTS)
BACKENDS = ("torch", *VARIANTS)  # what predicts
MEASURING_STAGES = (*TRAINING_STAGES, "evaluate")
ENERGY, KNN = "energy", "knn"
OOD_SCORES = (ENERGY, KNN)
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
SELECTION_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "nll")
MAX_IMAGE_SIZE = 4096  # pixels; 16.8 million a channel, 200 MB an image in float32


@dataclass
class DataConfig:
    """Where the images come from and how they are split."""

    dataset: str = option(
        "cifar10",
        "cifar10, digits (bundled), a Hub id such as USER/NAME, a folder of images (train/CLASS/*.png, or with a file "
        "metadata.csv, metadata.jsonl or labels.csv), of Parquet files in the Hub's layout, or of save_to_disk; or a "
        ".zip file of one",
        metavar="NAME|HUB_ID|DIR",
    )
    dataset_config: str | None = option(None, "configuration of a Hub dataset that has several")
    dataset_revision: str | None = option(None, "branch, tag or commit of a Hub dataset")
    image_column: str | None = option(None, "image column; default: found from the dataset's features")
    label_column: str | None = option(None, "label column; default: found from the dataset's features")
    val_fraction: float = option(
        0.1,
        "fraction of train held out for validation where the dataset has no validation split; stratified, seeded",
        range=Range(0, 1, open_low=True, open_high=True, hint="such as 0.1"),
        stages=MEASURING_STAGES,
    )
    split_seed: int | None = option(
        None,
        "seed of the held-out splits and of the subsets alone, also with --seeds; default: --seed",
        metavar="N",
        range=Range(0, 2**64 - 1),
    )
    max_train_samples: int | None = option(
        None, "train on at most N images, a stratified seeded subset", metavar="N", range=at_least(1)
    )
    max_eval_samples: int | None = option(
        None, "use at most N validation and N test images, stratified seeded subsets", metavar="N", range=at_least(1)
    )
    image_cache: str = option(
        AUTO,
        "decoded training and validation images are kept on disk and not decoded again in every epoch: auto (at most "
        "2 GB a split, and a quarter of the free space), off, or the most a split may take",
        metavar="auto|off|SIZE",
        stages=TRAINING_STAGES,
    )
    skip_corrupt: bool = option(
        False, "leave out unreadable images, and count them in metrics.json", stages=MEASURING_STAGES
    )

    def __post_init__(self) -> None:
        bytes_of(self.image_cache)


@dataclass
class ModelConfig:
    """Which network, with which weights and preprocessing."""

    model: str = option(
        "resnet18",
        "resnet18, resnet34, resnet50 (torchvision), resnet18-mini (bundled), vit-base, deit-small, dinov2-small, "
        "dinov2-base (on the Hub), the Hub id of any image classifier (USER/NAME, or USER/NAME@REVISION), or a saved "
        "model's folder",
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
        "input resolution in pixels (square); default: that of the weights' image processor",
        range=between(8, MAX_IMAGE_SIZE, hint="in pixels"),
    )
    normalization: str = option(
        "backbone",
        "mean and standard deviation: those that the backbone was pretrained with, or the dataset's own",
        choices=("backbone", "dataset"),
        stages=TRAINING_STAGES,
    )


@dataclass
class AugmentationConfig:
    """Augmentation of training images. Evaluation images are never augmented."""

    augment: str | None = option(
        None,
        "none; crop: random shifts by up to an eighth; standard: crop and horizontal flip; trivial: standard and "
        "TrivialAugment; rand: standard and RandAugment (default: standard, but none for a probe on cached features)",
        choices=("none", "crop", "standard", "trivial", "rand"),
    )
    random_erasing: float = option(0.0, "probability of RandomErasing", range=between(0, 1))
    mixup: float = option(0.0, "alpha of MixUp; 0: off", range=at_least(0), stages=FINETUNING_STAGES)
    cutmix: float = option(
        0.0,
        "alpha of CutMix; 0: off; with MixUp, each batch gets one of them",
        range=at_least(0),
        stages=FINETUNING_STAGES,
    )

    @property
    def requested(self) -> list[str]:
        """Return the flags that were given and switch something on."""
        given = [] if self.augment in (None, "none") else [f"--augment {self.augment}"]
        names = ("random_erasing", "mixup", "cutmix")
        return given + [f"{flag(name)} {getattr(self, name):g}" for name in names if getattr(self, name)]


@dataclass
class ImbalanceConfig:
    """What is done where some classes have many more training images than others. At most one of the three."""

    class_weights: str = option(
        "none",
        "weight of each class in the training loss, with a mean of 1 over the training images: balanced, n / (k n_c), "
        "as scikit-learn's; effective, by the effective number of images (Cui et al., 2019)",
        choices=("none", "balanced", "effective"),
    )
    effective_beta: float | None = option(
        None,
        "beta of --class-weights effective (default: 0.999): n_c images count as (1 - beta^n_c) / (1 - beta); 0 gives "
        "equal weights, and close to 1 those of balanced",
        range=Range(0, 1, open_high=True, hint="such as 0.999"),
    )
    logit_adjustment: float = option(
        0.0,
        "tau: the training loss sees logits + tau log(class frequency), and the saved model its own logits (Menon et "
        "al., 2021); 1 aims at balanced accuracy; 0: off",
        range=at_least(0),
    )
    balanced_sampling: bool = option(
        False, "show every class equally often: in an epoch rare images come repeatedly, and some frequent ones not"
    )

    def __post_init__(self) -> None:
        if len(self.requested) > 1:
            raise InputError(
                f"{self.requested[0]} and {self.requested[1]} exclude each other: each makes up for the whole "
                "imbalance; give one of them"
            )
        if self.effective_beta is not None and self.class_weights != "effective":
            raise InputError("--effective-beta does nothing without --class-weights effective: give both, or neither")

    @property
    def requested(self) -> list[str]:
        """Return the flags that were given and switch something on."""
        given = {
            f"--class-weights {self.class_weights}": self.class_weights != "none",
            f"--logit-adjustment {self.logit_adjustment:g}": self.logit_adjustment > 0,
            "--balanced-sampling": self.balanced_sampling,
        }
        return [name for name, on in given.items() if on]


@dataclass
class ProbeConfig:
    """A linear head on frozen features. Values that are not given come from the recipe."""

    features: str = option(
        "cached",
        "cached: one pass through the backbone, kept for the next run; online: every epoch through the backbone",
        choices=("cached", "online"),
    )
    solver: str = option(
        "trainer",
        "trainer: a grid of heads by SGD in one Trainer run; lbfgs: logistic regression over a path of L2 strengths",
        choices=("trainer", "lbfgs"),
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
        if self.features == "online" and self.solver == "lbfgs":
            raise InputError("--solver lbfgs needs all features at once: use --features cached")
        if self.feature_backend == "onnx" and self.feature_dtype != "float32":
            raise InputError("--feature-backend onnx computes in float32: leave --feature-dtype out, or take torch")
        for name in ("learning_rates", "strengths"):
            if not getattr(self, name):
                raise InputError(f"{flag(name)} is empty: give at least one number")


@dataclass
class FinetuneConfig:
    """Fine-tuning of the backbone. Values that are not given come from the recipe."""

    from_: str | None = option(
        None,
        "what fine-tuning starts from: a run, one of its stages, a saved model or a Hub id; default: this run's probe, "
        "or else the pretrained model with a new head",
        metavar="DIR|HUB_ID",
        stages=("finetune",),
    )
    unfreeze: str = option(
        "all",
        "all: every layer trains; gradual: the head and the last layer group first, then one more group at a time; "
        "LAYER,LAYER…: these layers and the head, the others stay frozen",
        metavar="all|gradual|LAYER,…",
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
    )
    head_lr: float | None = option(None, "learning rate of the head; default: --learning-rate", range=at_least(0))
    scheduler: str = option(
        "cosine",
        "learning-rate schedule, after a linear warm-up of --warmup-steps N (or a fraction of all steps, below 1)",
        choices=SCHEDULES,
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
        None, "stop after N epochs without a better validation metric", metavar="N", range=at_least(1)
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


@dataclass
class EvaluationConfig:
    """What is measured, and on which images."""

    split: str | None = option(
        None,
        "split to measure; default: test, or every image of a dataset that has no splits",
        choices=SPLITS,
        stages=("evaluate",),
    )
    robustness: bool = option(False, "measure on corrupted images too: 11 corruptions at 5 severities")
    exclude_leaks: str | None = option(
        None,
        "measure a second accuracy without the images that have a twin, exact or near, among the images that the model "
        "was trained or chosen on, as an audit of the same data lists them: its run, its folder, or its audit.json",
        metavar="AUDIT",
    )
    ood_score: str | None = option(
        None,
        "out-of-distribution score, higher for images less like those of training. energy: from the "
        "logits; knn: the distance of the features to those of training images, which evaluate keeps. Measured "
        "on the test images against the same ones corrupted, and in predict one more answer for each image",
        choices=OOD_SCORES,
        stages=(*MEASURING_STAGES, "predict"),
    )
    ood_dataset: str | None = option(
        None,
        "measure --ood-score against these images too, which must show none of the classes: any folder of images, or "
        "what --dataset takes; labels are not read",
        metavar="NAME|HUB_ID|DIR",
        stages=("evaluate",),
    )


@dataclass
class AuditConfig:
    """From when on two images are called near-duplicates, and how labels are doubted."""

    near_cosine: float = option(
        0.7,
        "least cosine of the whitened features of two near-duplicates; pairs must pass both thresholds",
        range=Range(0, 1, open_low=True),
    )
    near_hash: int = option(
        36, "most bits, of 128, in which the perceptual hashes of two near-duplicates differ", range=between(0, 128)
    )
    folds: int = option(
        5,
        "parts that the images are divided into: a probe on the others doubts the labels of one",
        range=between(2, 20),
    )


@dataclass
class PredictionConfig:
    """Which images are classified, and where the predictions go."""

    images: list[str] = option(
        [],
        "files, folders (searched recursively), globs, .txt files of paths, or - for paths on standard input",
        metavar="PATH",
    )
    output: str | None = option(
        None,
        "file of the predictions, .csv, .jsonl or .parquet; - for JSON Lines on standard output; default: the screen, "
        "or predictions.csv where standard output is no terminal and there is no --html",
        metavar="FILE",
    )
    html: str | None = option(None, "contact sheet: a page with every image and its labels", metavar="FILE")
    top_k: int = option(5, "labels per image", range=at_least(1))
    batch_size: int = option(64, "images in one forward pass", range=at_least(1))
    backend: str = option(
        "torch",
        "what computes: torch, or a form that --stage export --formats has made, which needs neither torch nor "
        "transformers (pip install 'hf_cifar[serve]')",
        choices=BACKENDS,
    )
    coverage: float | None = option(
        None,
        "also give each image the set of labels that holds the right one in this fraction of images, such as 0.9 "
        "(conformal prediction, calibrated on validation)",
        range=Range(0, 1, open_low=True, open_high=True, hint="such as 0.9"),
    )


@dataclass
class ComparisonConfig:
    """Which runs are compared."""

    runs: list[str] = option(
        [],
        "runs, or stages of runs, such as runs/a runs/b/probe; in the demo also saved models and Hub ids, side by side",
        metavar="DIR",
        stages=("compare", "demo"),
    )


@dataclass
class DemoConfig:
    """Where the demo page is served."""

    host: str = option(
        "127.0.0.1",
        "address that the page is served at: 127.0.0.1 is seen from this machine only, 0.0.0.0 from the whole network",
        metavar="ADDRESS",
    )
    port: int = option(7860, "port that the page is served at; 0: any that is free", range=between(0, 65535))


@dataclass
class HubConfig:
    """Where a model goes on the Hub. The token is never a part of it."""

    push_to_hub: bool = option(
        False, "push the last stage to --hub-model-id when training is done", stages=TRAINING_STAGES
    )
    hub_model_id: str | None = option(None, "repository on the Hub", metavar="USER/NAME")
    hub_token_file: str | None = option(
        None,
        "file that holds the Hub token; default: HF_TOKEN, or the login of `hf auth login`",
        metavar="FILE",
        stages=(*TRAINING_STAGES, "push"),
    )
    revision: str | None = option(
        None, "branch to push to; created if it does not exist (default: main)", stages=(*TRAINING_STAGES, "push")
    )
    public: bool = option(False, "make a new repository public; default: private", stages=(*TRAINING_STAGES, "push"))
    space: str | None = option(
        None,
        "push a Space of the same name too. static: a page that classifies in the visitor's browser, with the export's "
        "ONNX network; gradio: an app that computes on the Hub's machine",
        choices=("static", "gradio"),
        stages=("push",),
    )
    dry_run: bool = option(
        False,
        "training: say what would be trained on what, how long that takes by a measured batch and how large it gets, "
        "and train nothing; push: list what would be pushed, and send nothing",
        stages=(*TRAINING_STAGES, "push"),
    )
    license: str | None = option(
        None, "license of the model, as the Hub names it, such as apache-2.0; default: the base model's, if known"
    )


@dataclass
class ExportConfig:
    """In which forms a model is exported."""

    formats: list[str] = option(
        [],
        "forms of the model, separated by commas: native (always there), onnx, onnx-q8 (int8), onnx-fp16, openvino; "
        "each is measured on the test split and left out where its answers differ (pip install 'hf_cifar[onnx]', "
        "'hf_cifar[openvino]'; default: native, and for push those of the last export)",
        metavar="FORMAT,…",
    )
    max_accuracy_drop: float = option(
        0.5,
        "points of test accuracy that another form than native may lose, and still be exported",
        metavar="POINTS",
        range=between(0, 100),
    )
    calibrate: bool | None = option(
        None,
        "divide the head's weight and bias by the temperature that was fitted on validation, so that every client "
        "answers calibrated scores; the answers stay (default: no, and for push as in the last export)",
    )

    def __post_init__(self) -> None:
        names = [name.strip() for item in self.formats for name in item.split(",") if name.strip()]
        for name in names:
            if name not in FORMATS:
                raise unknown_name("format for --formats", name, FORMATS)
        self.formats = [name for name in FORMATS if name in names]

    @property
    def variants(self) -> list[str]:
        """Return the forms beside the native one, which are measured."""
        return [name for name in self.formats if name != NATIVE]

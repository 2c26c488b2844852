"""The parts of the configuration that say what is done with a trained model; every field is a flag too.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from dataclasses import dataclass

from hf_cifar.errors import InputError
from hf_cifar.schema import option

SPLITS = ("train", "validation", "test", "all")


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

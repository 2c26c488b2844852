"""Which images are classified, by what, and where the answers go."""

from dataclasses import dataclass

from hf_cifar.config.fields import Range, Usual, at_least, option
from hf_cifar.config.options.export import VARIANTS

BACKENDS = ("torch", *VARIANTS)  # what predicts


@dataclass
class PredictionConfig:
    """Which images are classified, and where the predictions go."""

    images: list[str] = option(
        [],
        "files, folders (searched recursively), globs, .txt files of paths, or - for paths on standard input",
        metavar="PATH",
        usual=Usual("images and labels", "as IMAGE: files, folders, globs, a .txt of paths, - (standard input)"),
    )
    output: str | None = option(
        None,
        "file of the predictions, .csv, .jsonl or .parquet; - for JSON Lines on standard output; default: the screen, "
        "or predictions.csv where standard output is no terminal and there is no --html",
        metavar="FILE",
        usual=Usual("results", "file of the predictions: .csv, .jsonl, .parquet; -: JSON Lines"),
    )
    html: str | None = option(
        None, "contact sheet: a page with every image and its labels", metavar="FILE", usual=Usual("results")
    )
    top_k: int = option(5, "labels per image", range=at_least(1), usual=Usual("results"))
    batch_size: int = option(64, "images in one forward pass", range=at_least(1), usual=Usual("results"))
    backend: str = option(
        "torch",
        "what computes: torch, or a form that --stage export --formats has made, which needs neither torch nor "
        "transformers (pip install 'hf_cifar[serve]')",
        choices=BACKENDS,
        usual=Usual("model", "what computes: torch, or a form that export has made, such as onnx"),
    )
    coverage: float | None = option(
        None,
        "also give each image the set of labels that holds the right one in this fraction of images, such as 0.9 "
        "(conformal prediction, calibrated on validation)",
        range=Range(0, 1, open_low=True, open_high=True, hint="such as 0.9"),
        usual=Usual("results", "also a set of labels that holds the right one so often, such as 0.9"),
    )

"""What TensorBoard gets of a finished stage, beside the curves: its metrics, its figures and where its report is."""

from typing import Any

import numpy as np

from hf_cifar.run.result import StageResult
from hf_cifar.run.split_metrics import SplitMetrics
from hf_cifar.training.trackers import RunTensorBoardCallback, tensorboard_folder
from hf_cifar.utils import processes
from hf_cifar.utils.progress import say

LOGGED = ("accuracy", "balanced_accuracy", "f1_macro", "nll", "ece")


def log_to_tensorboard(result: StageResult) -> None:
    """Add the results of a stage to its event files, and say how to look at them."""
    folder = tensorboard_folder(result.folder.path)
    if not processes.is_main():
        return
    from matplotlib.image import imread

    with RunTensorBoardCallback(folder).writer() as writer:
        for name, split in (("test", result.metrics.test), ("validation", result.metrics.validation)):
            for metric, value in _scalars(split).items():
                writer.add_scalar(f"final_{name}/{metric}", value)
        for name, path in result.figures.items():
            pixels: Any = np.asarray(imread(path))
            writer.add_image(f"figures/{name}", pixels[..., :3], dataformats="HWC")
        writer.add_text("report", f"{result.headline()}\n\nreport: {result.report}")
    say(f"curves, figures and metrics: tensorboard --logdir {folder.parent}")


def _scalars(split: SplitMetrics | None) -> dict[str, float]:
    return {} if split is None else {name: getattr(split, name) for name in LOGGED}

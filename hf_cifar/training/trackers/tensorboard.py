"""TensorBoard's event files of a run."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_cifar.training.trackers.tracker import TrackedResults


class TensorBoard:
    """Logs a stage to event files.

    Args:
        folder: of the event files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer: Any = None

    def begin(self, settings: Mapping[str, Any], resumed: bool) -> None:
        """Begin with the settings as text."""
        if not resumed:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.writer = self._open()
        self.writer.add_text("args", json.dumps(settings, indent=2, default=str))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log scalars."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)
            self.writer.flush()

    def end(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def add_results(self, results: TrackedResults) -> str:
        """Add metrics, figures as images, and where the report is."""
        import numpy as np
        from matplotlib.image import imread

        with self._open() as writer:
            for name, value in results.metrics.items():
                writer.add_scalar(name, value)
            for name, path in results.figures.items():
                pixels: Any = np.asarray(imread(path))
                writer.add_image(f"figures/{name}", pixels[..., :3], dataformats="HWC")
            writer.add_text("report", f"{results.headline}\n\nreport: {results.report}")
        return f"tensorboard --logdir {self.folder.parent}"

    def _open(self) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            from tensorboardX import SummaryWriter  # type: ignore[no-redef]
        return SummaryWriter(log_dir=str(self.folder))

"""Measure the memory of one feature pass in this process: python -m benchmarks.feature_pass FOLDER COUNT.

Prints one JSON object: `images`, `grown_mb` and `apart`, how far features are from those of a plain pass.
"""

import json
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
import torch
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from benchmarks import package
from benchmarks.measuring import quiet

STATUS = Path("/proc/self/status")
FIRST = 64
SIDE = 16  # pixels


def held_mb() -> float:
    """Return the memory that this process holds, in MiB: anonymous pages, where the system tells them.

    Pages of memory-mapped files count as resident too, but the system takes them back when it needs them.
    """
    if STATUS.is_file():
        anonymous = [line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon:")]
        if anonymous:
            return int(anonymous[0].split()[1]) / 2**10
    return float(psutil.Process().memory_info().rss) / 2**20


class Peak:
    """The most memory that is held within the block, looked at every 10 ms."""

    def __enter__(self) -> "Peak":
        self.mb = held_mb()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.mb = max(self.mb, held_mb())


def main(dataset: str, count: int) -> None:
    """Pass `count` images of a dataset through a tiny network, and print what was measured."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 128], depths=[1, 1], layer_type="basic")
    model = ResNetForImageClassification(config).eval()
    processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    images = package.all_training_images(dataset).select(np.arange(count))
    with tempfile.TemporaryDirectory() as folder, quiet():
        first = images.select(np.arange(min(FIRST, count)))
        values = package.features(Path(folder, "first"), first, model, processor)
        with torch.inference_mode():
            pixels = torch.cat(list(package.batches(first, processor)))
            plain = model.resnet(pixels).pooler_output.flatten(1).numpy()
        before = held_mb()
        with Peak() as peak:
            number = package.fill_cache(Path(folder, "all"), images, model, processor)
    apart = float(np.abs(values - plain).max() / np.abs(plain).max())
    print(json.dumps({"images": number, "grown_mb": peak.mb - before, "apart": apart}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

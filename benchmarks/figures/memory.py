"""Memory of the feature pass: does it grow with the number of images?"""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.machine import ROOT
from benchmarks.measuring import Comparison, Timed, python, require
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting

SIDE = 16  # pixels
DISTINCT = 512
MOST = 1e-4  # that features may be apart, relative to the largest


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the row of the feature pass's memory, each side a fresh process."""
    few, many = (500, 2_000) if setting.quick else (10_000, 200_000)
    folder = write_parquet(setting.new_folder("many"), many)
    # The table that `datasets` makes of the Parquet file is made once, and not in the user's cache.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(setting.folder / "huggingface")}

    def grown(count: int) -> Timed:
        """Return the growth in MB in the place of seconds, and how far features are from those of a plain pass."""
        answer = json.loads(python("-m", "benchmarks.feature_pass", str(folder), str(count), environment=environment))
        return Timed(answer["grown_mb"], answer)

    def same(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> str:
        apart = max(answer["apart"] for answer in (*ours, *theirs))
        counts = {int(answer["images"]) for answer in (*ours, *theirs)}
        return require(
            counts == {few, many} and apart <= MOST,
            f"features of the first images apart from a plain pass by {apart:.1e} of the largest at most",
        )

    yield Comparison(
        "memory",
        f"memory of the feature pass over {many:,} images, beyond that over {few:,}; anonymous pages at their peak, "
        "grown since a first batch",
        f"the same pass over {few:,} images",
        "difference",
        lambda: grown(many),
        lambda: grown(few),
        same,
        # The features of all images would take 97 MB more in memory, their pixels 146 MB.
        Goal("<=", 16),
        unit="MB",
    ).measure(setting.process_rounds)


def write_parquet(folder: Path, count: int) -> Path:
    """Write a dataset of many small images, some hundred distinct ones again and again, and return its folder."""
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(min(count, DISTINCT)):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(file, "PNG")
        cells.append({"bytes": file.getvalue(), "path": None})
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {
        "image": pa.array((cells[number % len(cells)] for number in range(count)), type=kind),
        "label": pa.array(number % 10 for number in range(count)),
    }
    pq.write_table(pa.table(columns), folder / "train-00000-of-00001.parquet", row_group_size=10_000)
    return folder

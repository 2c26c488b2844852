"""Make a long-tailed copy of a dataset in Parquet files, whose class sizes fall exponentially (Cui et al., 2019).

    python -m benchmarks.long_tail DATASET FOLDER --largest 1600 --ratio 50 --num-test 2000

DATASET is a folder of Parquet files in the Hub's layout, such as a copy of CIFAR-10. Class c of k keeps
largest * ratio^(-c / (k - 1)) of its training images, drawn by a seed; the test images stay balanced.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def class_sizes(largest: int, ratio: float, num_classes: int) -> np.ndarray:
    """Return how many images each class keeps, int64 [num_classes], the first the most."""
    steps = np.arange(num_classes) / max(1, num_classes - 1)
    return np.round(largest * ratio**-steps).astype(np.int64)


def chosen_rows(labels: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows of a random choice with these class sizes, int64, ascending.

    Raises:
        SystemExit: a class has too few.
    """
    rng, rows = np.random.default_rng(seed), []
    for label, size in enumerate(sizes):
        members = np.flatnonzero(labels == label)
        if len(members) < size:
            raise SystemExit(f"class {label} has {len(members)} images, not {size}: give a smaller --largest")
        rows.append(rng.permutation(members)[:size])
    return np.sort(np.concatenate(rows))


def write_split(source: Path, target: Path, split: str, sizes: np.ndarray | None, num_images: int, seed: int) -> int:
    """Write one split, and return its number of images.

    Args:
        source, target: folders; the files of a split begin with its name.
        split: train or test.
        sizes: of the classes; None: the same for all, `num_images` together.
        num_images: of a balanced split.
        seed: of the choice.
    """
    table = pa.concat_tables([pq.read_table(path) for path in sorted(source.rglob(f"{split}-*.parquet"))])
    labels = table["label"].to_numpy()
    if sizes is None:
        classes = len(np.unique(labels))
        sizes = np.full(classes, num_images // classes)
    chosen = table.take(chosen_rows(labels, sizes, seed))
    target.mkdir(parents=True, exist_ok=True)
    pq.write_table(chosen, target / f"{split}-00000-of-00001.parquet")
    return len(chosen)


def main() -> None:
    """Make the copy that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--largest", type=int, default=1600, help="training images of the largest class")
    parser.add_argument("--ratio", type=float, default=50.0, help="of the largest class to the smallest")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--num-test", type=int, default=2000, help="test images, balanced")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sizes = class_sizes(options.largest, options.ratio, options.classes)
    folder = options.folder / "data"
    train = write_split(options.dataset, folder, "train", sizes, 0, options.seed)
    test = write_split(options.dataset, folder, "test", None, options.num_test, options.seed)
    print(f"{train:,} training images, {', '.join(map(str, sizes))} a class; {test:,} test images")


if __name__ == "__main__":
    main()

"""Compare LP-FT with plain fine-tuning and with the probe alone, over sizes of the training set and seeds.

    python -m benchmarks.lp_ft runs/lp-ft --dataset DATA --model resnet18 --weights WEIGHTS --image-size 32 \\
        --sizes 100:30 1000:15 --seeds 0 1 2 3 4 --other drawings=DIR

A size is IMAGES:EPOCHS of fine-tuning. A seed draws the training and validation images, the new head, the order and the
augmentation. Each arm has a learning rate of its own: the best mean validation accuracy over the first `--rate-seeds`,
on a ladder that is climbed until the best rate has a worse one on both sides. Every final model answers all test
images, as many corrupted ones (each by one kind of corruption, in turn, at the middle severity) and the other sources.
What is done is skipped when the command runs again. It takes one thread; seconds are those of the processor.
"""

import argparse
from pathlib import Path

import torch

from benchmarks.lp_ft.study import Study, measure
from benchmarks.lp_ft.tables import tables


def main() -> None:
    """Run the comparison that the command line asks for, and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", required=True, metavar="IMAGES:EPOCHS")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--rate-seeds", type=int, default=2, help="seeds that choose the rates")
    parser.add_argument("--other", nargs="*", default=[], metavar="NAME=DATASET", help="other sources of these classes")
    parser.add_argument("--max-validation-images", type=int, default=1000)
    for option in ("dataset", "model", "weights", "image-size", "augment", "bn"):
        parser.add_argument(f"--{option}", help="as of hf-cifar")
    given = vars(parser.parse_args())
    torch.set_num_threads(1)
    sizes = [(int(images), int(epochs)) for images, epochs in (size.split(":") for size in given.pop("sizes"))]
    other = dict(pair.split("=", 1) for pair in given.pop("other"))
    folder, seeds, rate_seeds = given.pop("folder"), given.pop("seeds"), given.pop("rate_seeds")
    options = {name: value for name, value in given.items() if value is not None}
    options["max_eval_samples"] = options.pop("max_validation_images")
    if "image_size" in options:
        options["image_size"] = int(options["image_size"])
    folder.mkdir(parents=True, exist_ok=True)
    print(tables(measure(Study(folder, options, sizes, seeds, rate_seeds, other)), folder))


if __name__ == "__main__":
    main()

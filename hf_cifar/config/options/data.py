"""Where the images come from and how they are split."""

from dataclasses import dataclass

from hf_cifar.config.fields import Range, Usual, at_least, option
from hf_cifar.config.sizes import AUTO, bytes_of
from hf_cifar.config.stages import MEASURING_STAGES, TRAINING_STAGES


@dataclass
class DataConfig:
    """Where the images come from and how they are split."""

    dataset: str = option(
        "cifar10",
        "cifar10, digits (bundled), a Hub id such as USER/NAME, a folder of images (train/CLASS/*.png, or with a file "
        "metadata.csv, metadata.jsonl or labels.csv), of Parquet files in the Hub's layout, or of save_to_disk; or a "
        ".zip file of one",
        metavar="NAME|HUB_ID|DIR",
        usual=Usual(
            "images and labels",
            "as DATA: a folder, .zip file, Hub id (USER/NAME), cifar10 or digits",
            rare_in=("export", "push"),
        ),
    )
    dataset_config: str | None = option(None, "configuration of a Hub dataset that has several")
    dataset_revision: str | None = option(None, "branch, tag or commit of a Hub dataset")
    image_column: str | None = option(None, "image column; default: found from the dataset's features")
    label_column: str | None = option(
        None,
        "label column; default: found from the dataset's features",
        usual=Usual(
            "images and labels", "the column of the labels, where there are several", rare_in=("export", "push")
        ),
    )
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
        None,
        "train on at most N images, a stratified seeded subset",
        metavar="N",
        range=at_least(1),
        usual=Usual("images and labels", "train on at most N images", rare_in=("evaluate", "export", "push")),
    )
    max_eval_samples: int | None = option(
        None,
        "use at most N validation and N test images, stratified seeded subsets",
        metavar="N",
        range=at_least(1),
        usual=Usual("images and labels", "use at most N validation and N test images", rare_in=("export", "push")),
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

"""The data of a training run: loaded, split, and judged before anything is trained on them."""

from dataclasses import dataclass

import numpy as np

from hf_cifar.audit.leaks import LeakFilter
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.content import MAX_IMAGES, image_hashes, num_copies, warn_of_copies
from hf_cifar.data.layout import describe_source
from hf_cifar.data.sources import Source, load_source
from hf_cifar.data.splits import Splits, make_splits
from hf_cifar.run.wording import describe_split
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class TrainingData:
    """What a run is trained and measured on.

    Attributes:
        source, splits: the dataset and its parts.
        hashes: for each part, of the encoded images, uint64; None where there are too many.
        leaks: which test images `--exclude-leaks` leaves out of a second accuracy; None where it is not asked for.
    """

    source: Source
    splits: Splits
    hashes: dict[str, np.ndarray] | None
    leaks: LeakFilter | None

    @property
    def num_trained_on(self) -> int | None:
        """Return how many test images are identical to training images; None where that is not known."""
        return self.copies_of_training("test")

    def copies_of_training(self, part: str) -> int | None:
        """Return how many images of a part are identical to training images; None where that is not known."""
        return None if self.hashes is None else num_copies(self.hashes[part], self.hashes["train"])


def load_training_data(config: RunConfig) -> TrainingData:
    """Load and split the data, and say what it is.

    Raises:
        InputError: the data, or the audit that lists their twins, cannot be used.
    """
    leaks = LeakFilter.read(config.evaluation.exclude_leaks) if config.evaluation.exclude_leaks else None
    source = load_source(config.data)
    splits = make_splits(source, config.data, config.split_seed)
    parts = splits.parts()
    sizes = ", ".join(
        f"{name} {len(images):,} ({describe_split(splits.origin[name])})" for name, images in parts.items()
    )
    say(f"data: {describe_source(source)}; {sizes}")
    few = sum(map(len, parts.values())) <= MAX_IMAGES
    hashes = {name: image_hashes(images) for name, images in parts.items()} if few else None
    if hashes is not None:
        warn_of_copies(hashes)
    if leaks is not None:
        leaks.refuse_other_data(parts.values())
    return TrainingData(source, splits, hashes, leaks)

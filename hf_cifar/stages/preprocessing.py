"""Fit an image processor to the size and the normalisation that a run asks for."""

from typing import Any

import numpy as np

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.sources import Source
from hf_cifar.data.splits import Splits
from hf_cifar.data.transforms import dataset_statistics
from hf_cifar.models.processors import fit_processor, own_statistics
from hf_cifar.utils.progress import say


def fitted_processor(processor: Any, config: RunConfig, source: Source, splits: Splits) -> Any:
    """Return a processor of the size and normalisation that were asked for.

    Args:
        processor: as the weights came with it.
        config: of the run.
        source, splits: the data, whose statistics `--normalization dataset` takes from train.
    """
    statistics = None
    if config.model.normalization == "dataset":
        statistics = dataset_statistics(splits.train, source.name, config.seed)
        mean, std = np.array(statistics[0]), np.array(statistics[1])
        own_mean, own_std = map(np.array, own_statistics(processor))
        say(
            f"warning: --normalization dataset (mean {statistics[0]}, std {statistics[1]}) differs from the backbone's "
            f"(mean {own_mean.tolist()}, std {own_std.tolist()}): its inputs are shifted by up to "
            f"{np.abs((own_mean - mean) / std).max():.2f} and scaled by up to {np.max(own_std / std):.2f}; a frozen "
            "backbone cannot adapt, and the larger the difference, the more accuracy it costs"
        )
    return fit_processor(processor, config.model.image_size, statistics)

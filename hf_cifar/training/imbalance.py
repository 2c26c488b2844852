"""Make up for classes of unequal size: by weights in the loss, by adjusted logits, or by how often each is shown.

Class frequencies are those of the training images as they are used, after `--max-train-samples`. Where every class has
as many images as the others there is nothing to make up for, and training is bit for bit what it is without.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hf_cifar.config.options.imbalance import ImbalanceConfig
from hf_cifar.run.train_summary import Balancing

EFFECTIVE_BETA = 0.999


@dataclass(frozen=True)
class Rebalancing:
    """What is done about classes of unequal size.

    Attributes:
        weights: float [classes], in the loss; a mean of 1 over the training images. None for none.
        offsets: float [classes], added to the logits in the loss. None for none.
        sampling: whether every class is shown equally often.
    """

    weights: torch.Tensor | None = None
    offsets: torch.Tensor | None = None
    sampling: bool = False

    @property
    def of_loss(self) -> dict[str, Any]:
        """Return the arguments of `summed_cross_entropy`."""
        return {"weights": self.weights, "offsets": self.offsets}

    def to(self, device: torch.device) -> "Rebalancing":
        """Return the same for logits of float32 on a device."""
        weights, offsets = (
            None if some is None else some.to(device, torch.float32) for some in (self.weights, self.offsets)
        )
        return replace(self, weights=weights, offsets=offsets)


def rebalancing(options: ImbalanceConfig, labels: np.ndarray, num_classes: int) -> Rebalancing:
    """Return what the options mean for some training images.

    Args:
        options: at most one of them is on.
        labels: int64 [n], of the training images.
        num_classes: whether or not each occurs.
    """
    counts = np.bincount(labels, minlength=num_classes)
    if (counts == counts[0]).all():
        return Rebalancing()
    weights = offsets = None
    if options.class_weights == "balanced":
        weights = torch.from_numpy(balanced_weights(counts))
    elif options.class_weights == "effective":
        beta = EFFECTIVE_BETA if options.effective_beta is None else options.effective_beta
        weights = torch.from_numpy(effective_weights(counts, beta))
    if options.logit_adjustment:
        offsets = torch.from_numpy(options.logit_adjustment * log_priors(counts))
    return Rebalancing(weights, offsets, options.balanced_sampling)


def balancing(options: ImbalanceConfig, labels: np.ndarray) -> Balancing:
    """Return what is recorded of it: nothing where the classes are of equal size, whatever was asked for.

    Args:
        options, labels: as of `rebalancing`.
    """
    if len(set(np.bincount(labels).tolist())) == 1:
        return Balancing()
    effective = options.class_weights == "effective"
    beta = (EFFECTIVE_BETA if options.effective_beta is None else options.effective_beta) if effective else None
    return Balancing(options.class_weights, beta, options.logit_adjustment, options.balanced_sampling)


def balanced_weights(counts: np.ndarray) -> np.ndarray:
    """Return n / (k n_c), as scikit-learn's `class_weight="balanced"`: every class has the same total weight.

    Args:
        counts: int [classes], training images; a class without any has a weight of 1, which only smoothed labels see.
    """
    there = counts > 0
    return np.where(there, counts.sum() / (there.sum() * np.maximum(counts, 1)), 1.0)


def effective_weights(counts: np.ndarray, beta: float) -> np.ndarray:
    """Return weights by the effective number of images, (1 - beta^n_c) / (1 - beta) (Cui et al., 2019).

    They are in proportion to its inverse, with a mean of 1 over the training images. The paper has a mean of 1 over
    the classes: a constant factor, which would act as another learning rate.

    Args:
        counts: as in `balanced_weights`.
        beta: from 0, equal weights, to below 1, where they approach those of `balanced_weights`.
    """
    there = counts > 0
    inverse = (1 - beta) / -np.expm1(counts[there] * np.log(beta)) if beta else np.ones(there.sum())
    weights = np.ones(len(counts))
    weights[there] = inverse * counts.sum() / (inverse * counts[there]).sum()
    return weights


def log_priors(counts: np.ndarray) -> np.ndarray:
    """Return the logarithms of the class frequencies; a class without images counts as one image.

    Args:
        counts: int [classes], training images.
    """
    return np.asarray(np.log(np.maximum(counts, 1) / counts.sum()))

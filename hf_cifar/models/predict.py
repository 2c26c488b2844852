"""Predict the logits of a data set's images exactly as `pipeline` computes them."""

from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import default_workers, in_order
from hf_cifar.data.transforms import Transform
from hf_cifar.models.anatomy import head, pooled_features
from hf_cifar.utils import processes
from hf_cifar.utils.progress import progress

BATCH_SIZE = 64


@torch.inference_mode()
def predict_features(
    model: PreTrainedModel,
    transform: Transform,
    images: LabeledImages,
    title: str,
    workers: int | None = None,
) -> np.ndarray:
    """Compute the head's input features of every image, float32 [n, features], as `predict_logits` does the logits.

    Args:
        model: on the device to compute on; it is set to eval mode.
        transform: makes the network's input.
        images: any number of them.
        title: of the progress bar.
        workers: of the loader; by default as many as pay off on the device.
    """
    model.eval()
    device = model.device
    workers = default_workers(device) if workers is None else workers
    mine = images.select(np.array(processes.share(len(images)), dtype=np.int64))
    batches = [np.empty((0, head(model).in_features), dtype=np.float32)]
    with progress(None, title, "image", total=len(mine)) as bar:
        for pixels in in_order(mine, transform, BATCH_SIZE, workers):
            batches.append(pooled_features(model, pixels.to(device, non_blocking=True)).float().cpu().numpy())
            bar.update(len(pixels))
    return processes.gathered(np.concatenate(batches))


@torch.inference_mode()
def predict_logits(
    model: PreTrainedModel,
    processor: Any,
    images: LabeledImages,
    title: str,
    workers: int | None = None,
    transform: Transform | None = None,
) -> np.ndarray:
    """Compute the logits of every image, in order, in float32 and without augmentation.

    Several processes share the images; each image is predicted once, and every process gets all logits.

    Args:
        model: on the device to compute on; it is set to eval mode.
        processor: the image processor that is saved with it.
        images: any number of them.
        title: of the progress bar.
        workers: of the loader; by default as many as pay off on the device.
        transform: makes the network's input; default: that of the processor, without augmentation.

    Returns:
        float32 [n, labels].

    Raises:
        CorruptImageError: an image cannot be read.
    """
    model.eval()
    device = model.device
    workers = default_workers(device) if workers is None else workers
    mine = images.select(np.array(processes.share(len(images)), dtype=np.int64))
    batches = [np.empty((0, int(model.config.num_labels or 0)), dtype=np.float32)]
    with progress(None, title, "image", total=len(mine)) as bar:
        for pixels in in_order(mine, transform or Transform(processor), BATCH_SIZE, workers):
            batches.append(model(pixels.to(device, non_blocking=True)).logits.float().cpu().numpy())
            bar.update(len(pixels))
    return processes.gathered(np.concatenate(batches))

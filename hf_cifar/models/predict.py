"""One pass of a model over some images, exactly as `pipeline` would make it."""

from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import default_workers, in_order
from hf_cifar.data.transforms import Transform
from hf_cifar.utils import processes
from hf_cifar.utils.progress import progress

BATCH_SIZE = 64


@torch.inference_mode()
def predict_logits(
    model: PreTrainedModel, processor: Any, images: LabeledImages, what: str, workers: int | None = None
) -> np.ndarray:
    """The logits of every image, in order, in float32 and without augmentation.

    Several processes each take a part of the images; each image is predicted once, and all get the whole.

    Args:
        model: on the device to compute on; it is put into eval mode.
        processor: the image processor that is saved with it.
        images: any number of them.
        what: what the progress bar says.
        workers: of the loader; default: those that pay off on the device.

    Returns:
        float32 [n, labels].

    Raises:
        CorruptImageError: an image cannot be read.
    """
    model.eval()
    device = model.device
    workers = default_workers(device) if workers is None else workers
    mine = images.select(np.array(processes.share(len(images)), dtype=np.int64))
    found = [np.empty((0, int(model.config.num_labels or 0)), dtype=np.float32)]
    with progress(None, what, "image", total=len(mine)) as bar:
        for pixels in in_order(mine, Transform(processor), BATCH_SIZE, workers):
            found.append(model(pixels.to(device, non_blocking=True)).logits.float().cpu().numpy())
            bar.update(len(pixels))
    return processes.gathered(np.concatenate(found))

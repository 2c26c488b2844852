"""Measure the accuracy of a model on corrupted images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import default_workers, in_order
from hf_cifar.data.transforms import Picture, Transform
from hf_cifar.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corruptions_of
from hf_cifar.run.stage_metrics import Robustness
from hf_cifar.utils import processes
from hf_cifar.utils.progress import progress


class CorruptingTransform(Transform):
    """Transform of each image and of all its corruptions, by the image processor.

    Args:
        processor: a `transformers` image processor.
        seed: with the row of the image it fixes the random draws.
    """

    # The clean image, and its corruptions.
    VARIANTS = 1 + len(CORRUPTIONS) * len(SEVERITIES)

    def __init__(self, processor: Any, seed: int) -> None:
        super().__init__(processor)
        self.seed = seed

    def prepare(self, images: Sequence[Picture], rows: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """Return all variants of each image, those of the first image first, as `Transform.prepare` does.

        Args:
            images: RGB, n of any sizes.
            rows: of the images in their split, n.
        """
        variants: list[Picture] = []
        for image, row in zip(images, rows, strict=True):
            picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
            variants += [picture, *corruptions_of(picture, self.seed, int(row))]
        return super().prepare(variants, np.repeat(rows, self.VARIANTS))


@torch.inference_mode()
def measure_robustness(
    model: PreTrainedModel,
    processor: Any,
    images: LabeledImages,
    seed: int,
    workers: int | None = None,
    targets: np.ndarray | None = None,
) -> Robustness:
    """Measure the accuracy on clean and on corrupted images; see `corruptions` for what it is comparable with.

    An image is decoded once; the clean image and all its corruptions go through the network in one batch. Random draws
    depend on the seed and the image alone, not on batches, workers or processes. Several processes share the images.

    Args:
        model: on the device to compute on; it is put into eval mode.
        processor: the image processor that is saved with it.
        images: those to measure on, at least one.
        seed: of the random draws.
        workers: of the loader; default: what suits the device.
        targets: int [n], labels in the order of the logits; default: the images' own labels.

    Raises:
        CorruptImageError: an image cannot be read.
    """
    model.eval()
    device = model.device
    workers = default_workers(device) if workers is None else workers
    share = np.array(processes.share(len(images)), dtype=np.int64)
    labels = torch.from_numpy((images.targets if targets is None else targets)[share])
    correct = np.zeros((len(share), CorruptingTransform.VARIANTS), dtype=bool)
    batches = in_order(images.select(share), CorruptingTransform(processor, seed), 1, workers)
    with progress(None, "predicting corrupted images", "image", total=correct.size) as bar:
        for position, pixels in enumerate(batches):
            predictions = model(pixels.to(device, non_blocking=True)).logits.argmax(dim=1).cpu()
            correct[position] = predictions == labels[position]
            bar.update(len(pixels))
    clean, *corrupted = processes.gathered(correct).mean(axis=0).tolist()
    accuracies = np.reshape(corrupted, (len(CORRUPTIONS), len(SEVERITIES)))
    return Robustness(
        num_examples=len(images),
        seed=seed,
        clean_accuracy=clean,
        mean_corruption_accuracy=float(accuracies.mean()),
        corruptions=dict(zip(CORRUPTIONS, accuracies.tolist(), strict=True)),
    )

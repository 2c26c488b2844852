"""How much of its accuracy a model keeps on corrupted images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel

from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import default_workers, in_order
from hf_cifar.data.transforms import Transform
from hf_cifar.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corruptions_of
from hf_cifar.utils import processes
from hf_cifar.utils.progress import progress


class Corrupting(Transform):
    """Each image as it is, and then in every corruption and severity, all through the image processor.

    Args:
        processor: a `transformers` image processor.
        seed: with the image's number it fixes what is drawn.
    """

    # The image itself, and its corruptions.
    VARIANTS = 1 + len(CORRUPTIONS) * len(SEVERITIES)

    def __call__(self, images: Sequence[Image.Image], numbers: Sequence[int]) -> torch.Tensor:
        """RGB images to float32 [n * VARIANTS, 3, height, width], those of the first image first.

        Args:
            images: any sizes.
            numbers: one an image: its row in the split.
        """
        variants = []
        for image, row in zip(images, numbers, strict=True):
            variants += [image, *corruptions_of(image, self.seed, row)]
        return super().__call__(variants, [row for row in numbers for _ in range(self.VARIANTS)])


@torch.inference_mode()
def measure_robustness(
    model: PreTrainedModel,
    processor: Any,
    images: LabeledImages,
    seed: int,
    workers: int | None = None,
    targets: np.ndarray | None = None,
) -> dict[str, Any]:
    """What `metrics.json` says of a model's robustness; see `corruptions` for what it can be compared with.

    An image is decoded once, and goes through the network as it is and in every corruption, in one batch. What is
    drawn depends on the seed and the image alone: batches, workers and processes change nothing. Several processes
    each take a part of the images.

    Args:
        model: on the device to compute on; it is put into eval mode.
        processor: the image processor that is saved with it.
        images: those to measure on, at least one.
        seed: of what is drawn.
        workers: of the loader; default: those that pay off on the device.
        targets: int [n], the right answer for each image as the model numbers it; default: the images' own labels.

    Returns:
        num_examples, seed, clean_accuracy, corruptions (name: accuracy at severity 1 to 5), and
        mean_corruption_accuracy, the mean over corruptions and severities. Accuracies are fractions.

    Raises:
        CorruptImageError: an image cannot be read.
    """
    model.eval()
    device = model.device
    workers = default_workers(device) if workers is None else workers
    share = np.array(processes.share(len(images)), dtype=np.int64)
    right = torch.from_numpy((images.targets if targets is None else targets)[share])
    correct = np.zeros((len(share), Corrupting.VARIANTS), dtype=bool)
    with progress(None, "predicting corrupted images", "image", total=correct.size) as bar:
        for place, pixels in enumerate(in_order(images.select(share), Corrupting(processor, seed=seed), 1, workers)):
            answers = model(pixels.to(device, non_blocking=True)).logits.argmax(dim=1).cpu()
            correct[place] = answers == right[place]
            bar.update(len(pixels))
    clean, *corrupted = processes.gathered(correct).mean(axis=0).tolist()
    table = np.reshape(corrupted, (len(CORRUPTIONS), len(SEVERITIES)))
    return {
        "num_examples": len(images),
        "seed": seed,
        "clean_accuracy": clean,
        "mean_corruption_accuracy": float(table.mean()),
        "corruptions": dict(zip(CORRUPTIONS, table.tolist(), strict=True)),
    }

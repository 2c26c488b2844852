"""Measure a fine-tuned model against the probe that it started from, image for image."""

import numpy as np
import pyarrow.parquet as pq

from hf_cifar.data.images import LabeledImages
from hf_cifar.run.against_probe import AgainstProbe
from hf_cifar.run.stage_folder import StageFolder


def against_probe(probe: StageFolder, fingerprint: str, test: LabeledImages, logits: np.ndarray) -> AgainstProbe | None:
    """Return what fine-tuning changed; None where the probe was measured on other images.

    Args:
        probe: its folder.
        fingerprint: of the training images.
        test: the test images.
        logits: float [n, labels], of the fine-tuned model on them.
    """
    # With scipy.stats: not before there is something to test.
    from hf_cifar.evaluation.comparison.mcnemar import mcnemar

    metrics = probe.read_metrics()
    if metrics is None or metrics.dataset.fingerprint != fingerprint or not probe.predictions.is_file():
        return None
    table = pq.read_table(probe.predictions, columns=["index", "label", "prediction"])
    index, labels, predictions = (table.column(number).to_numpy() for number in range(3))
    if not (np.array_equal(index, test.index) and np.array_equal(labels, test.targets)):
        return None
    paired = mcnemar(logits.argmax(axis=1) == labels, predictions == labels)
    return AgainstProbe(metrics.test.accuracy, paired.difference, paired.difference_ci95)

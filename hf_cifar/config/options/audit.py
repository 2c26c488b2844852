"""From when on images are near-duplicates and labels are doubted."""

from dataclasses import dataclass

from hf_cifar.config.fields import Range, between, option


@dataclass
class AuditConfig:
    """From when on two images are called near-duplicates, and how labels are doubted."""

    near_cosine: float = option(
        0.7,
        "least cosine of the whitened features of two near-duplicates; pairs must pass both thresholds",
        range=Range(0, 1, open_low=True),
    )
    near_hash: int = option(
        36, "most bits, of 128, in which the perceptual hashes of two near-duplicates differ", range=between(0, 128)
    )
    folds: int = option(
        5,
        "parts that the images are divided into: a probe on the others doubts the labels of one",
        range=between(2, 20),
    )

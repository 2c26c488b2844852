"""What is measured, and on which images."""

from dataclasses import dataclass

from hf_cifar.config.fields import option
from hf_cifar.config.stages import MEASURING_STAGES

ENERGY, KNN = "energy", "knn"
OOD_SCORES = (ENERGY, KNN)
SPLITS = ("train", "validation", "test", "all")


@dataclass
class EvaluationConfig:
    """What is measured, and on which images."""

    split: str | None = option(
        None,
        "split to measure; default: test, or every image of a dataset that has no splits",
        choices=SPLITS,
        stages=("evaluate",),
    )
    robustness: bool = option(False, "measure on corrupted images too: noise, blur, fog and others, at 5 severities")
    exclude_leaks: str | None = option(
        None,
        "measure a second accuracy without the images that have a twin, exact or near, among the images that the model "
        "was trained or chosen on, as an audit of the same data lists them: its run, its folder, or its audit.json",
        metavar="AUDIT",
    )
    ood_score: str | None = option(
        None,
        "out-of-distribution score, higher for images less like those of training. energy: from the "
        "logits; knn: the distance of the features to those of training images, which evaluate keeps. Measured "
        "on the test images against the same ones corrupted, and in predict one more answer for each image",
        choices=OOD_SCORES,
        stages=(*MEASURING_STAGES, "predict"),
    )
    ood_dataset: str | None = option(
        None,
        "measure --ood-score against these images too, which must show none of the classes: any folder of images, or "
        "what --dataset takes; labels are not read",
        metavar="NAME|HUB_ID|DIR",
        stages=("evaluate",),
    )

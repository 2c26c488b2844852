"""Pictures of what a run does and of what a model is worth, each from plain data into one PNG."""

from hf_cifar.evaluation.figures.augmentation import augmentation_figure
from hf_cifar.evaluation.figures.collection import save_figures
from hf_cifar.evaluation.figures.confusion import confusion_figure
from hf_cifar.evaluation.figures.curves import curves_figure
from hf_cifar.evaluation.figures.per_class import per_class_figure
from hf_cifar.evaluation.figures.pictures import pictures_figure
from hf_cifar.evaluation.figures.reliability import reliability_figure
from hf_cifar.evaluation.figures.robustness import robustness_figure

__all__ = [
    "augmentation_figure",
    "confusion_figure",
    "curves_figure",
    "per_class_figure",
    "pictures_figure",
    "reliability_figure",
    "robustness_figure",
    "save_figures",
]

"""Which network, with which weights and preprocessing."""

from dataclasses import dataclass

from hf_cifar.config.fields import Usual, between, option
from hf_cifar.config.stages import TRAINING_STAGES

MAX_IMAGE_SIZE = 4096  # pixels; 16.8 million a channel, 200 MB an image in float32


@dataclass
class ModelConfig:
    """Which network, with which weights and preprocessing."""

    model: str = option(
        "resnet18",
        "resnet18, resnet34, resnet50 (torchvision), resnet18-mini (bundled), vit-base, deit-small, dinov2-small, "
        "dinov2-base (on the Hub), the Hub id of any image classifier (USER/NAME, or USER/NAME@REVISION), or a saved "
        "model's folder",
        metavar="NAME|HUB_ID|DIR",
        usual=Usual("model", "resnet18, resnet50, vit-base, …, a Hub id, or a saved model's folder"),
    )
    weights: str | None = option(
        None,
        "a torchvision name such as IMAGENET1K_V1 (the default of torchvision models), a .pth or .safetensors file, "
        "a folder, a Hub id (USER/NAME@REVISION too), or none for random weights",
        metavar="NAME|FILE|DIR|HUB_ID|none",
        usual=Usual("model", "file, folder or Hub id of the pretrained weights; none: random"),
    )
    image_size: int | None = option(
        None,
        "input resolution in pixels (square); default: that of the weights' image processor",
        range=between(8, MAX_IMAGE_SIZE, hint="in pixels"),
        usual=Usual("model", "pixels on a side of the network's input (default: as pretrained)"),
    )
    normalization: str = option(
        "backbone",
        "mean and standard deviation: those that the backbone was pretrained with, or the dataset's own",
        choices=("backbone", "dataset"),
        stages=TRAINING_STAGES,
    )

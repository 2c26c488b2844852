"""torchvision's ResNets as `PreTrainedModel`s, so that `Trainer` can train them.

The file imports nothing of this package: `save_pretrained` can put it beside the weights, and the Hub can load it.
For use elsewhere `models/export.py` turns the model into transformers' own ResNet, which needs no code of ours.
"""

from typing import Any, cast

import torch
import torchvision
from torch import nn
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention


class TorchvisionResNetConfig(PreTrainedConfig):
    """Configuration of a wrapped torchvision ResNet.

    Args:
        arch: the name of torchvision's function, such as "resnet18".
        num_labels, id2label, label2id: as in every `transformers` configuration.
    """

    model_type = "torchvision_resnet"

    def __init__(self, arch: str = "resnet18", **kwargs: Any) -> None:
        self.arch = arch
        super().__init__(**kwargs)


class TorchvisionResNetForImageClassification(PreTrainedModel):
    """A torchvision ResNet with a linear classifier, `network.fc`.

    The weights are random (torchvision's scheme) until they are loaded: `post_init` would overwrite weights that
    were loaded before it, running statistics included.
    """

    config_class = TorchvisionResNetConfig
    base_model_prefix = "network"
    main_input_name = "pixel_values"
    # Without this, Trainer leaves the division by the accumulation steps to a loss that does not do it, and the
    # gradient is multiplied by their number.
    accepts_loss_kwargs = False

    def __init__(self, config: TorchvisionResNetConfig) -> None:
        super().__init__(config)
        self.network = getattr(torchvision.models, config.arch)(weights=None, num_classes=config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """torchvision's own initialisation: transformers' default would draw every weight from N(0, 0.02)."""
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            for ones in (module.weight, module.running_var):
                init.ones_(cast(torch.Tensor, ones))
            for zeros in (module.bias, module.running_mean, module.num_batches_tracked):
                init.zeros_(cast(torch.Tensor, zeros))
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None
    ) -> ImageClassifierOutputWithNoAttention:
        """Logits, and the mean cross-entropy where labels are given.

        Args:
            pixel_values: float [batch, 3, height, width], normalised.
            labels: int64 [batch].

        Returns:
            `logits`, float [batch, labels], and `loss`, a scalar or None.
        """
        logits = self.network(pixel_values)
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


AutoConfig.register(TorchvisionResNetConfig.model_type, TorchvisionResNetConfig)
AutoModelForImageClassification.register(TorchvisionResNetConfig, TorchvisionResNetForImageClassification)
TorchvisionResNetConfig.register_for_auto_class()
TorchvisionResNetForImageClassification.register_for_auto_class("AutoModelForImageClassification")

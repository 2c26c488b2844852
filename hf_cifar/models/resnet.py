"""torchvision's ResNets as `PreTrainedModel`s, so that `Trainer` can train them.

The file imports nothing of this package: `save_pretrained` can put it beside the weights, and the Hub can load it.
For use elsewhere `models/native.py` turns the model into transformers' own ResNet, which needs no code of ours.
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
        kwargs: num_labels, id2label and label2id, as in every `transformers` configuration.
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
        """Initialise as torchvision does; transformers' default would draw every weight from N(0, 0.02)."""
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
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ImageClassifierOutputWithNoAttention | tuple[Any, ...]:
        """Compute logits, and the loss if labels are given, as `ResNetForImageClassification` does.

        Args:
            pixel_values: float [batch, 3, height, width], normalised.
            labels: for cross-entropy int64 [batch]; for a `problem_type` of multi_label_classification float
                [batch, labels], binary cross-entropy; for regression float [batch, labels], mean squared error.
            output_hidden_states: return the feature maps too; the configuration's value by default.
            return_dict: return a dataclass instead of a tuple; the configuration's value by default.

        Returns:
            `loss`, a scalar or None; `logits`, float [batch, labels]; and `hidden_states`, the output of the stem and
            of each of the four stages, float [batch, channels, height, width], or None. As a tuple, without None.
        """
        config, network = self.config, self.network
        return_dict = config.return_dict if return_dict is None else return_dict
        keep = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        hidden_state = network.maxpool(network.relu(network.bn1(network.conv1(pixel_values))))
        hidden_states: tuple[torch.Tensor, ...] = (hidden_state,)
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            hidden_state = stage(hidden_state)
            hidden_states = (*hidden_states, hidden_state) if keep else ()
        logits = network.fc(torch.flatten(network.avgpool(hidden_state), 1))
        loss = None if labels is None else self.loss_function(labels, logits, config)
        output = ImageClassifierOutputWithNoAttention(
            loss=loss, logits=logits, hidden_states=hidden_states if keep else None
        )
        return output if return_dict else output.to_tuple()


AutoConfig.register(TorchvisionResNetConfig.model_type, TorchvisionResNetConfig)
AutoModelForImageClassification.register(TorchvisionResNetConfig, TorchvisionResNetForImageClassification)
TorchvisionResNetConfig.register_for_auto_class()
TorchvisionResNetForImageClassification.register_for_auto_class("AutoModelForImageClassification")

"""The state of a network before training, so that training can be undone or started again without a second network."""

import copy

import torch
from transformers import PreTrainedModel

from hf_cifar.models.memory_layout import use_contiguous
from hf_cifar.models.weights import put_weights

Weights = dict[str, torch.Tensor]


class Snapshot:
    """The weights of a network, and everything that training changes on its modules.

    Freezing, recomputed activations, mixed precision and compilation all set attributes on modules, and `Trainer`
    sets options in the model's configuration. None of that may be measured or saved.

    Args:
        model: the network as it was built.

    Attributes:
        weights: a copy of its state dict, on the CPU.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.weights: Weights = {
            name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()
        }
        self._attributes = [(module, dict(vars(module))) for module in model.modules()]
        self._trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
        self._config = copy.copy(vars(model.config))

    def restore_modules(self) -> None:
        """Undo what was put on the modules; weights and device stay. The network is left in eval mode."""
        for module, attributes in self._attributes:
            vars(module).clear()
            vars(module).update(attributes)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._trainable[name])
            parameter.grad = None
        vars(self.model.config).clear()
        vars(self.model.config).update(self._config)
        use_contiguous(self.model)
        self.model.eval()

    def restore(self) -> None:
        """Undo training altogether: the modules and the weights are as they were."""
        self.restore_modules()
        put_weights(self.model, self.weights)

"""The head of a classifier: one linear map from features to logits, made of one or several layers."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from hf_cifar.errors import InputError
from hf_cifar.utils.random_state import seeded_cpu


class Head:
    """One linear layer, or several whose logits are averaged, as distilled networks have them.

    Several layers equal one layer on their concatenated inputs, so one kind of probe serves both.

    Args:
        layers: in the order in which their inputs are concatenated.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.layers = list(layers)

    @property
    def in_features(self) -> int:
        """Return the width of the features, of all layers together."""
        return sum(layer.in_features for layer in self.layers)

    @property
    def out_features(self) -> int:
        """Return the number of labels."""
        return self.layers[0].out_features

    @property
    def weight(self) -> torch.Tensor:
        """Return the weight, [labels, features]; of a single layer it is the parameter itself."""
        if len(self.layers) == 1:
            return self.layers[0].weight
        return torch.cat([layer.weight for layer in self.layers], dim=1) / len(self.layers)

    @property
    def bias(self) -> torch.Tensor | None:
        """Return the bias, [labels], or None; of a single layer it is the parameter itself."""
        biases: list[torch.Tensor] = [layer.bias for layer in self.layers if layer.bias is not None]
        if len(self.layers) == 1 or not biases:
            return biases[0] if biases else None
        return torch.stack(biases).sum(0) / len(self.layers)

    @property
    def training(self) -> bool:
        """Return whether all its layers are in training mode."""
        return all(layer.training for layer in self.layers)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters of all its layers."""
        return (parameter for layer in self.layers for parameter in layer.parameters())

    @property
    def num_parameters(self) -> int:
        """Return the number of scalars in its parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits, [batch, labels], of features, float [batch, features]."""
        return nn.functional.linear(features, self.weight, self.bias)

    @torch.no_grad()
    def install(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Set it to the linear map with this weight, [labels, features], and bias, [labels].

        Raises:
            InputError: a layer has no bias.
        """
        if any(layer.bias is None for layer in self.layers):
            raise InputError("the classifier has no bias, which a probe trains: use --stage finetune")
        parts = weight.split([layer.in_features for layer in self.layers], dim=1)
        for layer, part in zip(self.layers, parts, strict=True):
            layer.weight.copy_(part * len(self.layers))
            layer.bias.copy_(bias)

    @torch.no_grad()
    def renew(self, seed: int) -> None:
        """Initialise its layers as `nn.Linear` does, by a seed; no other draw is affected."""
        with seeded_cpu(seed):
            for layer in self.layers:
                fresh = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
                layer.load_state_dict(fresh.state_dict())

"""The classifier of a network as one linear map from features to logits, whatever layers it is made of."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from hf_cifar.errors import InputError


class Head:
    """One linear layer, or several whose logits are averaged, as distilled networks have them.

    Several layers are the same as one on their inputs side by side, so a probe of one kind serves both.

    Args:
        layers: in the order in which their inputs are laid side by side.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.layers = list(layers)

    @property
    def in_features(self) -> int:
        """Width of the features: of all layers together."""
        return sum(layer.in_features for layer in self.layers)

    @property
    def out_features(self) -> int:
        """Number of labels."""
        return self.layers[0].out_features

    @property
    def weight(self) -> torch.Tensor:
        """[labels, features]; of a single layer it is the parameter itself."""
        if len(self.layers) == 1:
            return self.layers[0].weight
        return torch.cat([layer.weight for layer in self.layers], dim=1) / len(self.layers)

    @property
    def bias(self) -> torch.Tensor | None:
        """[labels]; of a single layer it is the parameter itself."""
        found: list[torch.Tensor] = [layer.bias for layer in self.layers if layer.bias is not None]
        if len(self.layers) == 1 or not found:
            return found[0] if found else None
        return torch.stack(found).sum(0) / len(self.layers)

    @property
    def training(self) -> bool:
        """Whether its layers are in training mode."""
        return all(layer.training for layer in self.layers)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of all its layers."""
        return (parameter for layer in self.layers for parameter in layer.parameters())

    @property
    def num_parameters(self) -> int:
        """How many numbers it holds."""
        return sum(parameter.numel() for parameter in self.parameters())

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, [batch, labels], of features, float [batch, features]."""
        return nn.functional.linear(features, self.weight, self.bias)

    @torch.no_grad()
    def install(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Make it the linear map with this weight, [labels, features], and bias, [labels].

        Raises:
            InputError: a layer has no bias, so that it cannot be that map.
        """
        if any(layer.bias is None for layer in self.layers):
            raise InputError("the classifier has no bias, which a probe trains: use --stage finetune")
        parts = weight.split([layer.in_features for layer in self.layers], dim=1)
        for layer, part in zip(self.layers, parts, strict=True):
            layer.weight.copy_(part * len(self.layers))
            layer.bias.copy_(bias)

    @torch.no_grad()
    def renew(self, seed: int) -> None:
        """Give its layers random weights, as `nn.Linear` draws them."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for layer in self.layers:
                fresh = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
                layer.load_state_dict(fresh.state_dict())

"""Linear heads on frozen features: one, or a grid of them trained side by side."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedModel

from hf_cifar.data.loader import take
from hf_cifar.models.anatomy import head, pooled_features
from hf_cifar.training.probe.features import Features


class HeadGrid(nn.Module):
    """Linear heads that see the same features and are trained with different learning rates.

    The heads are independent: `Trainer` gets the sum of their losses, and each has its own group in the optimizer. All
    start at zero, which is as good as any start since the problem is convex, and makes a probe deterministic.

    Args:
        features: width of the input.
        labels: number of classes.
        heads: number of heads.
    """

    def __init__(self, features: int, labels: int, heads: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(features, labels) for _ in range(heads))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    @property
    def layers(self) -> list[nn.Linear]:
        """Return the heads: weight [labels, features], bias [labels]."""
        return [layer for layer in self.heads if isinstance(layer, nn.Linear)]

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the logits of every head.

        Args:
            features: float [batch, features].

        Returns:
            `logits`, float [batch, heads, labels].
        """
        weight = torch.cat([layer.weight for layer in self.layers])
        bias = torch.cat([layer.bias for layer in self.layers])
        return {"logits": nn.functional.linear(features, weight, bias).unflatten(1, (len(self.heads), -1))}

    def install(self, index: int, model: PreTrainedModel) -> None:
        """Copy one of the heads into a classifier."""
        head(model).install(self.layers[index].weight, self.layers[index].bias)


class OnlineProbe(nn.Module):
    """A frozen backbone that sees every image in every epoch, with a grid of heads on its features.

    Args:
        model: classifier whose backbone is used; `FreezeCallback` freezes it.
        heads: trained instead of the model's own head.
    """

    def __init__(self, model: PreTrainedModel, heads: HeadGrid) -> None:
        super().__init__()
        self.model = model
        self.heads = heads

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute `HeadGrid.forward` of pixel values, float [batch, 3, height, width], or of cached features."""
        if features is None:
            assert pixel_values is not None
            with torch.no_grad():
                features = pooled_features(self.model, pixel_values)
        result: dict[str, torch.Tensor] = self.heads(features)
        return result


class FeatureDataset(Dataset):
    """Cached features and labels in whole batches; the counterpart of `ImageDataset`."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self.labels = torch.from_numpy(features.labels)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, position: int) -> dict[str, Any]:
        batch = self.__getitems__([position])
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        """Return a batch: `features` float32 [n, features] and `labels` int64 [n]."""
        wanted, labels = take(positions, self.labels)
        return {"features": torch.from_numpy(self.features[wanted]), "labels": labels}

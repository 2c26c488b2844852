"""Folded copies: the same function, fewer layers, the original untouched, and nothing folded that must not be."""

import pytest
import torch
from support.families import FAMILIES
from support.models import scramble_statistics, tiny_resnet
from torch import nn

from hf_cifar.models.fold import inference_copy
from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def timm_resnet() -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model("resnet10t", num_classes=3)


NETWORKS = {
    "torchvision": lambda: TorchvisionResNetForImageClassification(TorchvisionResNetConfig("resnet18", num_labels=3)),
    "transformers": tiny_resnet,
    "timm": timm_resnet,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_batchnorm_is_folded_and_the_original_stays_bit_identical(name):
    model = NETWORKS[name]().eval()
    scramble_statistics(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    pixels = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        made = inference_copy(model, pixels[:1])
        expected, got = model.double()(pixels.double()), made(pixels)
    model.float()
    expected, got = (getattr(output, "logits", output) for output in (expected, got))
    assert norms(made) == 0 and norms(model) > 0
    assert (expected - got).abs().max() < 1e-5 * expected.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Mixed(nn.Module):
    """A pair to fold, and pairs that must stay: run twice, changed in between, without statistics."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(3, 3, 3, padding=1, bias=index % 2 == 0) for index in range(4)]
        self.convolutions = nn.ModuleList(convolutions)
        self.folded, self.twice, self.changed = nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.alone = nn.BatchNorm2d(3, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.folded(self.convolutions[0](x))
        x = self.twice(self.convolutions[1](x))
        x = self.twice(self.convolutions[1](x))
        x = self.changed(self.convolutions[2](x).relu_())
        return self.alone(self.convolutions[3](x))


def test_only_what_ran_once_and_directly_after_a_convolution_is_folded():
    model = Mixed().eval()
    scramble_statistics_of_tracked(model)
    pixels = torch.randn(2, 3, 8, 8)
    made = inference_copy(model, pixels)
    assert isinstance(made.folded, nn.Identity)
    assert all(type(norm) is nn.BatchNorm2d for norm in (made.twice, made.changed, made.alone))
    torch.testing.assert_close(made(pixels), model(pixels), atol=1e-5, rtol=1e-5)


def scramble_statistics_of_tracked(model: Mixed) -> None:
    for norm in (model.folded, model.twice, model.changed):
        scramble_statistics(nn.ModuleList([norm]))


@pytest.mark.parametrize(
    "model", [nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), FAMILIES["vit"].make()], ids=["linear", "vit"]
)
def test_a_network_without_convolutions_to_speak_of_needs_no_copy(model):
    assert inference_copy(model.eval(), torch.zeros(1, 3, 2, 2)) is None

"""What one pass shows of a network, by networks made for it; see test_build for what follows."""

import pytest
import torch
from support.models import tiny_resnet
from torch import nn

from hf_cifar.errors import InputError
from hf_cifar.models.forward_check import check_forward
from hf_cifar.utils import processes


def test_a_plain_network_can_be_probed_and_runs_in_order():
    model = tiny_resnet()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    check = check_forward(model, (16, 16))
    assert check.probe_fault is None and check.in_order and not check.unused
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_logits_that_are_scaled_after_the_head_are_a_fault():
    model = tiny_resnet()
    model.classifier.append(nn.Softmax(dim=1))
    assert "are not its linear classifier's" in check_forward(model, (16, 16)).probe_fault


def test_a_head_without_bias_is_a_fault():
    model = tiny_resnet()
    model.classifier[1] = nn.Linear(16, 5, bias=False)
    assert "has no bias" in check_forward(model, (16, 16)).probe_fault


@pytest.mark.parametrize("several", [False, True])
def test_unused_parameters_are_looked_for_with_several_processes(several, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 1 + several)
    model = tiny_resnet()
    model.resnet.mask_token = nn.Parameter(torch.zeros(3))
    assert check_forward(model, (16, 16)).unused is several
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_size_that_the_network_does_not_take_is_refused():
    model = tiny_resnet()
    model.resnet.pooler = nn.Flatten()
    with pytest.raises(InputError, match="ResNetForImageClassification does not work on images of 16 x 24 pixels"):
        check_forward(model, (16, 24))

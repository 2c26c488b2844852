"""The average of weights against its definition."""

import torch
from torch import nn

from hf_cifar.training.finetune.ema import WeightAverage, load_average


def test_the_average_by_hand_and_through_a_checkpoint(tmp_path):
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.9)
    expected = model.weight.detach().clone()
    for step in range(3):
        with torch.no_grad():
            model.weight.fill_(step + 2.0)
            model.num_batches_tracked.fill_(step)
        expected = 0.9 * expected + 0.1 * model.weight.detach()
        average.on_step_end(None, None, None)
    torch.testing.assert_close(average.average["weight"], expected)
    assert average.average["num_batches_tracked"] == 2 and torch.equal(average.average["bias"], model.bias)
    average.save(tmp_path)
    other = WeightAverage(nn.BatchNorm1d(2), 0.9)
    other.load(tmp_path)
    assert torch.equal(other.average["weight"], average.average["weight"])
    assert torch.equal(load_average(tmp_path)["weight"], average.average["weight"])


def test_the_model_has_the_average_within_and_its_own_weights_after():
    model = nn.Linear(1, 1)
    average = WeightAverage(model, 0.5)
    first = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    with average.in_place():
        assert torch.equal(model.weight, first)
    assert torch.equal(model.weight, first + 1)

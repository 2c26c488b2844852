"""Interpolated weights against the formula."""

import torch

from hf_cifar.training.finetune.interpolation import STRENGTHS, interpolate


def test_between_and_at_both_ends():
    start = {"weight": torch.tensor([1.0, -2.0]), "count": torch.tensor(3)}
    end = {"weight": torch.tensor([2.0, 4.0]), "count": torch.tensor(8)}
    assert interpolate(start, end, 0.25)["weight"].tolist() == [1.25, -0.5]
    assert torch.equal(interpolate(start, end, 0.0)["weight"], start["weight"])
    assert torch.equal(interpolate(start, end, 1.0)["weight"], end["weight"])
    assert interpolate(start, end, 0.0)["count"] == 8, "counters are those of the end"
    assert STRENGTHS[0] == 0 and STRENGTHS[-1] == 1 and len(STRENGTHS) == 11

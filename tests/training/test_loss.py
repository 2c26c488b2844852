"""Losses against torch's own means."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from hf_cifar.errors import TrainingError
from hf_cifar.training.loss import LossMeter, summed_cross_entropy


def test_the_sum_leaves_padding_out():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, -100, 1])
    expected = 3 * cross_entropy(logits[[0, 1, 3]], labels[[0, 1, 3]], label_smoothing=0.1)
    torch.testing.assert_close(summed_cross_entropy({"logits": logits}, labels, smoothing=0.1), expected)


def test_several_heads_add_up():
    logits, labels = torch.randn(4, 2, 3), torch.tensor([0, 2, 2, 1])
    expected = sum(cross_entropy(logits[:, head], labels, reduction="sum") for head in range(2))
    torch.testing.assert_close(summed_cross_entropy({"logits": logits}, labels), expected)


def test_mixed_targets_replace_the_labels():
    logits, targets = torch.randn(2, 3), torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    expected = -(targets * logits.log_softmax(1)).sum()
    torch.testing.assert_close(summed_cross_entropy({"logits": logits}, torch.zeros(2), targets=targets), expected)


def test_the_mean_goes_on_from_a_checkpoint(tmp_path):
    first = LossMeter()
    for step in range(3):
        first.add(torch.tensor(1.0 + step), step, 0.0, 0.1)
    first.save(tmp_path)
    second = LossMeter()
    second.load(tmp_path)
    second.add(torch.tensor(6.0), 3, 0.0, 0.1)
    assert second.mean(4) == pytest.approx((1 + 2 + 3 + 6) / 4)
    second.add(torch.tensor(5.0), 4, 0.0, 0.1)
    assert second.mean(5) == 5.0


def test_only_a_watched_loss_stops_training():
    LossMeter(watched=False).add(torch.tensor(math.nan), 0, 0.0, 0.1)
    with pytest.raises(TrainingError, match=r"became inf at step 8 \(epoch 0.50\), at a learning rate of 0.1"):
        LossMeter().add(torch.tensor(math.inf), 7, 0.5, 0.1)

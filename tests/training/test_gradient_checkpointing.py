"""Recomputed activations: the same gradients, from blocks that are computed twice."""

import copy

import pytest
import torch
from support.models import tiny_resnet

from hf_cifar.errors import InputError
from hf_cifar.models.anatomy import block_modules
from hf_cifar.training.freezing import freeze_statistics
from hf_cifar.training.gradient_checkpointing import recompute_activations


def test_blocks_run_twice_and_gradients_are_the_same():
    plain = tiny_resnet()
    recomputed = copy.deepcopy(plain)
    freeze_statistics(recomputed)
    calls = []
    last = block_modules(recomputed)[-1]
    convolution = next(module for module in last.modules() if isinstance(module, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda *_: calls.append(1))
    recompute_activations(recomputed)
    pixels = torch.randn(2, 3, 16, 16)
    for model in (plain, recomputed.train()):
        model(pixels).logits.square().sum().backward()
    assert len(calls) == 2
    for (name, ours), theirs in zip(recomputed.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_batch_statistics_would_be_counted_twice():
    with pytest.raises(InputError, match="--gradient-checkpointing with --bn train"):
        recompute_activations(tiny_resnet())

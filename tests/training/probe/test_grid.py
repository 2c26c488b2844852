"""Heads of a grid train as if each were alone."""

import gc

import numpy as np
import pytest
import torch
from torch import nn

from hf_cifar.training.callbacks import EpochCallback
from hf_cifar.training.probe.features import Features
from hf_cifar.training.probe.grid import GridTrainer, scores_of
from hf_cifar.training.probe.heads import FeatureDataset, HeadGrid
from hf_cifar.training.trainer import training_arguments


def dataset():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 3, 20)
    return FeatureDataset(Features(labels, 0, 0.0, [values], np.zeros(20, dtype=np.int64), np.arange(20)))


def trained(tmp_path, rates, **given):
    heads = HeadGrid(4, 3, len(rates))
    values = {"optim": "sgd", "num_train_epochs": 2, "train_batch_size": 8, "lr_scheduler_type": "constant", **given}
    args = training_arguments({"learning_rate": 0.1, **values}, tmp_path, 0)
    options = {"train_dataset": dataset(), "eval_dataset": dataset(), "callbacks": [EpochCallback()]}
    GridTrainer(heads, args, resume=None, heads=heads, learning_rates=rates, momentum=0.9, **options).run()
    return heads


def plain(rate, max_norm):
    """One head by a loop of its own, with torch's clipping."""
    data, head = dataset(), nn.Linear(4, 3)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9)
    for epoch in range(2):
        order = torch.randperm(20, generator=torch.Generator().manual_seed(epoch))
        for rows in order.split(8):
            batch = data.__getitems__(rows.tolist())
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(batch["features"]), batch["labels"]).backward()
            if max_norm:
                nn.utils.clip_grad_norm_(head.parameters(), max_norm)
            optimizer.step()
    return head.weight


@pytest.mark.parametrize("max_norm", [0.0, 0.3])
@pytest.mark.parametrize("parts", [1, 2])
def test_each_head_ends_where_it_would_alone(max_norm, parts, tmp_path):
    """With clipping too: by the norm of all heads together it would depend on the others."""
    given = {"max_grad_norm": max_norm, "train_batch_size": 8 // parts, "gradient_accumulation_steps": parts}
    heads = trained(tmp_path, [0.05, 2.0], **given)
    for layer, rate in zip(heads.layers, (0.05, 2.0), strict=True):
        torch.testing.assert_close(layer.weight, plain(rate, max_norm), rtol=1e-4, atol=1e-6)


def test_a_head_that_diverges_leaves_the_others_alone(tmp_path):
    heads = trained(tmp_path, [0.05, 3e38], max_grad_norm=0.0)
    assert not heads.layers[1].weight.isfinite().all()
    torch.testing.assert_close(heads.layers[0].weight, plain(0.05, 0.0), rtol=1e-4, atol=1e-6)


def test_garbage_is_collected_after_training_as_before(tmp_path):
    """What was in the garbage collector is there again, and what the command line has set aside stays so."""
    gc.unfreeze()
    trained(tmp_path / "plain", [0.05])
    assert gc.isenabled() and gc.get_freeze_count() == 0
    gc.freeze()
    before = gc.get_freeze_count()
    trained(tmp_path / "set aside", [0.05])
    assert before / 2 < gc.get_freeze_count() <= before


def test_scores_are_those_of_each_head():
    logits = np.zeros((2, 2, 3))
    logits[:, 0, 1] = 5.0
    logits[:, 1, 2] = 5.0
    assert [one.accuracy for one in scores_of(logits, np.array([1, 1]))] == [1.0, 0.0]

"""Interpolated weights against the formula."""

from types import SimpleNamespace

import torch

from hf_cifar.training.finetune import interpolation
from hf_cifar.training.finetune.interpolation import STRENGTHS, interpolate
from hf_cifar.training.selection import Score


def test_between_and_at_both_ends():
    start = {"weight": torch.tensor([1.0, -2.0]), "count": torch.tensor(3)}
    end = {"weight": torch.tensor([2.0, 4.0]), "count": torch.tensor(8)}
    assert interpolate(start, end, 0.25)["weight"].tolist() == [1.25, -0.5]
    assert torch.equal(interpolate(start, end, 0.0)["weight"], start["weight"])
    assert torch.equal(interpolate(start, end, 1.0)["weight"], end["weight"])
    assert interpolate(start, end, 0.0)["count"] == 8, "counters are those of the end"
    assert STRENGTHS[0] == 0 and STRENGTHS[-1] == 1 and len(STRENGTHS) == 11


def test_the_strength_is_chosen_by_the_selection_metric(monkeypatch):
    scores = [Score(1.0 - 0.1 * index, 0.9 if index == 3 else 0.1, 0.0, 1.0) for index in range(11)]
    for metric, expected in (("accuracy", 0.0), ("balanced_accuracy", 0.3)):
        one_by_one = iter(scores)
        monkeypatch.setattr(interpolation, "score", lambda *arguments, left=one_by_one: next(left))
        monkeypatch.setattr(interpolation, "put_weights", lambda *arguments: None)
        monkeypatch.setattr(interpolation, "predict_logits", lambda *arguments: None)
        images = SimpleNamespace(targets=None, refuse_test=lambda what: None)
        assert interpolation.choose_strength(None, None, {}, {}, images, metric) == expected

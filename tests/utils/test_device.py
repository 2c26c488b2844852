import torch
from torch import nn

from hf_cifar.utils.device import default_device, on_device


def test_the_cpu_where_it_is_asked_for_or_nothing_else_is_there(monkeypatch):
    assert default_device(use_cpu=True) == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert default_device() == torch.device("cpu")


def test_an_accelerator_that_is_available_is_taken_unless_the_cpu_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("meta"))
    assert default_device() == torch.device("meta")
    assert default_device(use_cpu=True) == torch.device("cpu")


def test_a_model_is_moved_in_place():
    model = nn.Linear(2, 2)
    assert on_device(model, torch.device("meta")) is model
    assert model.weight.is_meta

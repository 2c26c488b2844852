import pytest
import torch
from support.random_state import spy_on_accelerators

from hf_cifar.utils.random_state import seeded_cpu


def test_draws_are_those_after_manual_seed_and_later_draws_are_as_without():
    torch.manual_seed(11)
    expected = torch.rand(3), torch.randn(3)
    torch.manual_seed(5)
    after = torch.rand(2)
    torch.manual_seed(5)
    with seeded_cpu(11):
        assert torch.equal(torch.rand(3), expected[0]) and torch.equal(torch.randn(3), expected[1])
    assert torch.equal(torch.rand(2), after)


def test_an_error_within_restores_the_state_too():
    torch.manual_seed(5)
    after = torch.rand(2)
    torch.manual_seed(5)
    with pytest.raises(RuntimeError), seeded_cpu(11):
        raise RuntimeError
    assert torch.equal(torch.rand(2), after)


def test_no_accelerator_is_touched(monkeypatch):
    touched = spy_on_accelerators(monkeypatch)
    with seeded_cpu(1):
        torch.rand(1)
    assert not touched
    torch.manual_seed(1)
    assert touched, "the spy sees nothing"

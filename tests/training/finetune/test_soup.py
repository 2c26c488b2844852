"""A greedy soup, against averages worked out by hand."""

import torch

from hf_cifar.training.finetune.soup import average, greedy_soup


def point(*values):
    return {"weight": torch.tensor(values), "steps": torch.tensor(3)}


def measured(target, calls=None):
    """Better the nearer the weight is to the target."""

    def measure(weights):
        if calls is not None:
            calls.append(weights["weight"].tolist())
        return -float((weights["weight"] - torch.tensor(target)).abs().sum())

    return measure


def test_the_better_are_tried_first_and_kept_while_validation_does_not_fall():
    calls = []
    candidates = [point(4.0), point(1.0), point(-2.0)]
    soup = greedy_soup(candidates, measured([0.0], calls))
    # 1 alone: -1; with -2: mean -0.5, better; with 4 too: mean 1, worse.
    assert soup.members == [1, 2] and soup.value == -0.5 and soup.weights["weight"].tolist() == [-0.5]
    assert calls == [[4.0], [1.0], [-2.0], [-0.5], [1.0]]


def test_it_is_never_below_the_best_candidate():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        candidates = [{"weight": torch.randn(3, generator=generator)} for _ in range(4)]
        measure = measured([0.2, 0.0, -0.2])
        soup = greedy_soup(candidates, measure)
        assert soup.value >= max(measure(candidate) for candidate in candidates)
        assert measure(soup.weights) == soup.value


def test_where_low_is_better_the_lowest_comes_first():
    soup = greedy_soup([point(3.0), point(0.5)], lambda weights: float(weights["weight"].abs()), "nll")
    assert soup.members == [1] and soup.value == 0.5


def test_equal_values_stay_bit_for_bit_and_counters_are_not_averaged():
    """As the running statistics of a BatchNorm in eval mode."""
    value = torch.rand(1000, generator=torch.Generator().manual_seed(1)) * 1e-3
    states = [{"mean": value.clone(), "count": torch.tensor(7)} for _ in range(3)]
    mean = average(states)
    assert torch.equal(mean["mean"], value) and mean["count"] == 7
    assert mean["mean"].dtype == torch.float32

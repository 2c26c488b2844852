"""A greedy soup: the average of the weights of several fine-tunings, as long as validation gains by it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hf_cifar.training.finetune.snapshot import Weights
from hf_cifar.training.selection import GREATER_IS_BETTER, is_at_least


@dataclass(frozen=True)
class GreedySoup:
    """Averaged weights.

    Attributes:
        members: which candidates are in the average, in the order in which they were added.
        weights: their average.
        value: its selection metric on validation, at least that of the best candidate.
    """

    members: list[int]
    weights: Weights
    value: float


def greedy_soup(
    candidates: Sequence[Weights], measure: Callable[[Weights], float], metric: str = "accuracy"
) -> GreedySoup:
    """Average weights greedily (Wortsman et al., 2022, "Model soups").

    It begins with the candidate that is best on validation, and adds the others, the better first, each only where the
    average with it is at least as good. So the soup is never worse on validation than the best candidate.

    Args:
        candidates: state dicts of one architecture, fine-tuned from one start.
        measure: the selection metric of some weights on validation, never on test.
        metric: its name.
    """
    values = [measure(weights) for weights in candidates]
    sign = -1 if GREATER_IS_BETTER[metric] else 1
    order = sorted(range(len(candidates)), key=lambda index: (sign * values[index], index))
    members, value = order[:1], values[order[0]]
    for index in order[1:]:
        tried = measure(average([candidates[member] for member in (*members, index)]))
        if is_at_least(tried, value, metric):
            members, value = [*members, index], tried
    return GreedySoup(members, average([candidates[member] for member in members]), value)


def average(states: Sequence[Weights]) -> Weights:
    """Return the mean of state dicts, parameters and buffers alike.

    Running statistics are averaged too. With `--bn eval` they are those of the start in every state, and the mean of
    equal values is that value, bit for bit; with `--bn train` their mean is not what a pass over the training images
    would give, but it costs none, and the soup is judged with it on validation. What is not floating-point, such as
    counters, is taken from the first.

    Args:
        states: of one architecture.
    """
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }

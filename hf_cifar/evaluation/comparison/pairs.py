"""Every two runs of a comparison, tested against each other: on the images, and over seeds."""

from collections.abc import Sequence
from itertools import combinations

from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.evaluation.comparison.mcnemar import holm, holm_levels, mcnemar
from hf_cifar.evaluation.comparison.rows import PairRow, RunRow, SeedPairRow


def image_pairs(runs: Sequence[ComparedRun]) -> list[PairRow]:
    """Return every two runs with McNemar's test on their images."""
    pairs = list(combinations(runs, 2))
    tests = [mcnemar(first.correct, second.correct) for first, second in pairs]
    p_values = [test.p_value for test in tests]
    levels = holm_levels(p_values)
    return [
        PairRow(first.name, second.name, test, p_value, test.interval(level), 1 - level)
        for (first, second), test, p_value, level in zip(pairs, tests, holm(p_values), levels, strict=True)
    ]


def seed_pairs(runs: Sequence[RunRow]) -> list[SeedPairRow]:
    """Return every two runs over several seeds with Welch's t test of their mean accuracies."""
    from scipy.stats import ttest_ind

    pairs = list(combinations([run for run in runs if run.seeds is not None], 2))
    values = [tuple(_accuracies(run) for run in pair) for pair in pairs]
    # Where no seed differs from another there is no spread to judge by.
    tests = [ttest_ind(*both, equal_var=False) if any(len(set(one)) > 1 for one in both) else None for both in values]
    p_values = [float(test.pvalue) for test in tests if test is not None]
    adjusted, levels = iter(holm(p_values)), iter(holm_levels(p_values))
    rows = []
    for (first, second), (one, other), test in zip(pairs, values, tests, strict=True):
        difference = sum(one) / len(one) - sum(other) / len(other)
        if test is None:
            rows.append(SeedPairRow(first.name, second.name, difference, None, None, 0.95))
            continue
        level = 1 - next(levels)
        bounds = test.confidence_interval(level)
        interval = (float(bounds.low), float(bounds.high))
        rows.append(SeedPairRow(first.name, second.name, difference, next(adjusted), interval, level))
    return rows


def _accuracies(run: RunRow) -> list[float]:
    assert run.seeds is not None
    return [row.test["accuracy"] for row in run.seeds.rows]

"""McNemar's test against hand-computed numbers, scipy, and what its interval promises."""

import functools

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from hf_cifar.evaluation.comparison.mcnemar import difference_interval, exact_p_value, holm, holm_levels, mcnemar

cached_interval = functools.cache(difference_interval)


def answers(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two models' right answers with these counts, in no order."""
    rows = np.array([(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither, dtype=bool)
    rows = np.random.default_rng(0).permutation(rows)
    return rows[:, 0], rows[:, 1]


def test_by_hand():
    found = mcnemar(*answers(both=60, first=10, second=2, neither=28))
    assert (found.only_first_right, found.only_second_right) == (10, 2)
    # Twice the chance of at most 2 heads in 12 throws: 2 * (1 + 12 + 66) / 4096.
    assert found.p_value == pytest.approx(2 * 79 / 4096, abs=1e-12)
    assert found.difference == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("won", "lost", "total"), [(10, 2, 100), (9, 2, 359), (0, 1, 20), (5, 5, 50), (3, 40, 1000), (6, 0, 6), (0, 0, 5)]
)
def test_interval_is_that_of_drawn_confidence_distributions(won, lost, total):
    """Fay and Lumbard's melding by drawing: exact bounds of the discordant share and of the share won, combined."""
    rng, draws, discordant = np.random.default_rng(0), 200_000, won + lost

    def lower(won: int, lost: int) -> float:
        share = rng.beta(won, lost + 1, draws) if won else np.zeros(draws)
        few = rng.beta(discordant, total - discordant + 1, draws) if discordant else np.zeros(draws)
        many = rng.beta(discordant + 1, total - discordant, draws) if discordant < total else np.ones(draws)
        return float(np.quantile(np.where(share > 0.5, few, many) * (2 * share - 1), 0.025))

    found = difference_interval(won, lost, total)
    np.testing.assert_allclose(found, [lower(won, lost), -lower(lost, won)], atol=0.005)


def test_interval_and_p_never_contradict_each_other():
    """Whatever the counts: 0 is outside where p is below the level, and only there."""
    apart = []
    for total in (26, 400):
        for won in range(0, 14):
            for lost in range(0, won + 1):
                for level in (0.05, 0.05 / 3):
                    low, high = difference_interval(won, lost, total, level)
                    assert low <= (won - lost) / total <= high
                    assert (low > 0) == (exact_p_value(won, lost) < level), (won, lost, total, level)
                    apart.append(low > 0)
    assert any(apart) and not all(apart)
    # The case that was reported: Wald with half an image added left out 0 here, beside p = 0.0654.
    assert exact_p_value(9, 2) == pytest.approx(0.0654, abs=5e-5)
    assert difference_interval(9, 2, 359)[0] < 0


@pytest.mark.parametrize(("first", "second"), [(0, 1), (5, 5), (3, 40), (120, 80), (700, 600)])
def test_p_value_is_that_of_the_binomial(first, second):
    """As statsmodels defines it: twice the lower tail at the smaller count, and at most 1."""
    expected = min(1.0, 2 * binom.cdf(min(first, second), first + second, 0.5))
    found = mcnemar(*answers(50, first, second, 7))
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    swapped = mcnemar(*answers(50, first, second, 7)[::-1])
    assert swapped.p_value == pytest.approx(expected, rel=1e-9)
    assert swapped.difference == -found.difference
    np.testing.assert_allclose(swapped.difference_ci95, [-end for end in found.difference_ci95][::-1])


def test_same_answers_and_opposite_ones():
    same = mcnemar(*answers(3, 0, 0, 2))
    assert (same.p_value, same.difference) == (1.0, 0.0)
    assert same.difference_ci95[0] < 0 < same.difference_ci95[1], "five images prove nothing"
    opposite = mcnemar(*answers(0, 4, 0, 0))
    assert opposite.difference == 1.0 and opposite.difference_ci95[1] <= 1.0


@pytest.mark.parametrize("shares", [(0.2, 0.05), (0.15, 0.15), (0.4, 0.0), (0.02, 0.01)])
def test_interval_holds_the_true_difference_at_least_as_often_as_it_says(shares):
    """Exactly, over every sample of 12 images: no drawing."""
    total, true = 12, shares[0] - shares[1]
    held = 0.0
    for won in range(total + 1):
        for lost in range(total + 1 - won):
            low, high = cached_interval(won, lost, total)
            if low <= true + 1e-12 and high >= true - 1e-12:
                held += multinomial.pmf([won, lost, total - won - lost], total, [*shares, 1 - sum(shares)])
    assert held >= 0.95


def test_holm_by_hand():
    # Ascending: 0.005 * 4, 0.02 * 3, 0.03 * 2, and 0.04 * 1, which may not be below the one before.
    assert holm([0.03, 0.005, 0.04, 0.02]) == pytest.approx([0.06, 0.02, 0.06, 0.06])
    assert holm([0.5, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.01]) == [0.01]


def test_levels_of_holm():
    """An interval of a pair's level leaves out 0 exactly where its adjusted p is below 0.05."""
    # Tested in turn: 0.01 at 0.05 / 3, then 0.024 at 0.05 / 2, then 0.04 at 0.05.
    assert holm_levels([0.04, 0.01, 0.024]) == pytest.approx([0.05, 0.05 / 3, 0.025])
    # 0.03 is not below 0.05 / 2: what follows stays at that level, though 0.04 is below 0.05.
    assert holm_levels([0.04, 0.01, 0.03]) == pytest.approx([0.025, 0.05 / 3, 0.025])
    assert holm_levels([0.2]) == [0.05]
    rng = np.random.default_rng(0)
    for _ in range(300):
        p_values = (rng.random(4) ** 3).tolist()
        for p_value, adjusted, level in zip(p_values, holm(p_values), holm_levels(p_values), strict=True):
            assert (p_value < level) == (adjusted < 0.05)


def test_other_images_are_refused():
    for one, other in ((np.ones(3, bool), np.ones(4, bool)), (np.ones(0, bool), np.ones(0, bool))):
        with pytest.raises(ValueError, match="not of the same images"):
            mcnemar(one, other)

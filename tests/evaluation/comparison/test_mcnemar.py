"""McNemar's test against hand-computed numbers, scipy, and what its interval promises."""

import numpy as np
import pytest
from scipy.stats import binom

from hf_cifar.evaluation.comparison.mcnemar import holm, mcnemar


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
    # Half an image more in each of four cells: 10.5 and 2.5 of 102; 1.959964 standard errors either way.
    gap, share = 8 / 102, 13 / 102
    reach = 1.959964 * ((share - gap**2) / 102) ** 0.5
    np.testing.assert_allclose(found.difference_ci95, [gap - reach, gap + reach], atol=1e-6)


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


def test_interval_holds_the_true_difference_in_19_of_20_samples():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(1500):
        cell = rng.choice(4, 150, p=[0.6, 0.17, 0.08, 0.15])
        low, high = mcnemar((cell == 0) | (cell == 1), (cell == 0) | (cell == 2)).difference_ci95
        held.append(low <= 0.09 <= high)
    assert 0.935 <= np.mean(held) <= 0.97


def test_holm_by_hand():
    # Ascending: 0.005 * 4, 0.02 * 3, 0.03 * 2, and 0.04 * 1, which may not be below the one before.
    assert holm([0.03, 0.005, 0.04, 0.02]) == pytest.approx([0.06, 0.02, 0.06, 0.06])
    assert holm([0.5, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.01]) == [0.01]


def test_other_images_are_refused():
    for one, other in ((np.ones(3, bool), np.ones(4, bool)), (np.ones(0, bool), np.ones(0, bool))):
        with pytest.raises(ValueError, match="not of the same images"):
            mcnemar(one, other)

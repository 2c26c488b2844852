"""Draws by counters: the published answers, uniform numbers, and no dependence on anything but the key."""

import numpy as np
import pytest

from hf_cifar.data.augmentation.draws import Draws, Purpose, philox


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        # The known answers that the authors publish with Random123.
        ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, answer):
    assert philox(np.array(counter, dtype=np.uint64), key[0] + (key[1] << 32)).tolist() == answer


def draws(seed: int = 3, epoch: int = 2, rows: tuple[int, ...] = (5, 6, 7), count: int = 6) -> np.ndarray:
    return Draws(seed, epoch, np.array(rows)).uniform(Purpose.POLICY, count)


def test_an_image_has_the_same_draws_in_any_batch():
    together = draws()
    assert together.shape == (3, 6) and together.dtype == np.float64
    assert np.array_equal(together[1:2], draws(rows=(6,)))
    assert np.array_equal(together[::-1], draws(rows=(7, 6, 5)))
    assert np.array_equal(together[:, :3], draws(count=3))


def test_everything_in_the_key_changes_all_draws():
    first = draws()
    for other in (draws(seed=4), draws(seed=3 + 2**32), draws(epoch=3), draws(rows=(8, 9, 10 + 2**32))):
        assert not np.isin(other, first).any()
    assert not np.isin(Draws(3, 2, np.array([5])).uniform(Purpose.SHIFT, 6), first).any()
    assert np.array_equal(draws(seed=-1), draws(seed=2**64 - 1)), "any integer is a seed"


def test_the_numbers_are_uniform_and_independent():
    """Moments and correlations of 100,000 numbers within five standard errors."""
    numbers = Draws(0, 0, np.arange(20_000)).uniform(Purpose.SHIFT, 5)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert abs(numbers.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / numbers.size)
    counts, _ = np.histogram(numbers, bins=100, range=(0, 1))
    assert np.square(counts - 1000).sum() / 1000 < 99 + 5 * np.sqrt(2 * 99), "chi-square over 100 bins"
    correlations = np.corrcoef(np.hstack([numbers, np.roll(numbers, 1, axis=0)]).T)
    assert np.abs(correlations - np.eye(10)).max() < 5 / np.sqrt(20_000)

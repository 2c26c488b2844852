"""Distances to kept features against every pair of them, and what is written."""

import numpy as np
import pytest

from hf_cifar.errors import InputError
from hf_cifar.run.ood_neighbours import KNN_FILE, NEIGHBOURS, FeatureBank


def features(count, seed, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (count, 6)).astype(np.float32) * 7


@pytest.mark.parametrize("count", [3, 40])
def test_distances_are_those_of_every_pair(count):
    bank = FeatureBank.calibrate(features(count, 0), features(200, 1))
    asked = features(25, 2, mean=1.0)
    one, other = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (asked, features(count, 0)))
    pairs = np.sort(np.linalg.norm(one[:, None].astype(float) - other[None].astype(float), axis=2), axis=1)
    np.testing.assert_allclose(bank.distances(asked), pairs[:, min(NEIGHBOURS, count) - 1], atol=2e-3)
    np.testing.assert_allclose(bank.distances(asked * 100), bank.distances(asked), atol=1e-6)
    assert bank.features.dtype == np.float16
    assert (bank.distances(features(200, 1)) > bank.threshold).sum() == 10


def test_features_that_are_not_finite_have_no_distance():
    bank, asked = FeatureBank.calibrate(features(30, 0), features(20, 1)), features(3, 2)
    alone = bank.distances(asked[[0, 2]])
    asked[1, 0] = np.nan
    np.testing.assert_array_equal(bank.distances(asked), [alone[0], np.nan, alone[1]])
    assert np.isnan(bank.distances(asked[[1]])).all()


def test_what_is_written_is_read_exactly_and_what_is_damaged_is_refused(tmp_path):
    bank = FeatureBank.calibrate(features(30, 0), features(21, 1))
    bank.write(tmp_path)
    found = FeatureBank.read(tmp_path / KNN_FILE)
    np.testing.assert_array_equal(found.features, bank.features)
    assert (found.threshold, found.num_examples) == (bank.threshold, 21)
    FeatureBank(bank.features, float("nan"), 21).write(tmp_path)
    with pytest.raises(InputError, match=KNN_FILE):
        FeatureBank.read(tmp_path / KNN_FILE)
    (tmp_path / KNN_FILE).write_bytes(b"no features")
    with pytest.raises(InputError, match="cannot be read"):
        FeatureBank.read(tmp_path / KNN_FILE)

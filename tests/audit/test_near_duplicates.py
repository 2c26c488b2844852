"""Near-duplicates, against the whole matrix of cosines at once and scikit-learn's whitening."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from hf_cifar.audit import near_duplicates as module
from hf_cifar.audit.near_duplicates import near_duplicates, whitened


def data(count=300, seed=0):
    """Features that are all positive, 30 of them copies with a little noise, and hashes that mostly agree with that."""
    rng = np.random.default_rng(seed)
    features = np.abs(rng.normal(1, 0.3, (count, 40)) @ rng.normal(0, 1, (40, 40))).astype(np.float32)
    looks = rng.integers(0, 256, (count, 16)).astype(np.uint8)
    copies, originals = np.arange(30), np.arange(100, 130)
    features[copies] = features[originals] + rng.normal(0, 0.01, (30, 40))
    looks[copies[:25]] = looks[originals[:25]]
    return features, looks


def test_whitened_directions_are_those_of_scikit_learn():
    features, _ = data()
    ours = whitened(lambda part: features[part], 300)
    theirs = PCA(30, whiten=True).fit_transform(features.astype(np.float64))
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert ours.shape == (300, 30)  # a direction for ten images
    assert np.allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-3)


def test_batches_of_features_make_no_difference(monkeypatch):
    features, _ = data()
    whole = whitened(lambda part: features[part], 300)
    monkeypatch.setattr(module, "BATCH", 64)
    parts = whitened(lambda part: features[part], 300)
    assert np.allclose(whole @ whole.T, parts @ parts.T, atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(2_048, 8_192), (32, 50), (50, 32)])
def test_pairs_are_those_of_the_whole_matrix(monkeypatch, rows, columns):
    monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(module, "COLUMNS", columns)
    features, looks = data()
    directions = whitened(lambda part: features[part], 300)
    found = near_duplicates(directions, looks, 0.7, 36)
    bits = np.unpackbits(looks[:, None] ^ looks[None], axis=2).sum(axis=2)
    expected = np.argwhere(np.triu((directions @ directions.T >= 0.7) & (bits <= 36), 1))
    pairs = sorted(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == [tuple(pair) for pair in expected.tolist()]
    assert {(number, number + 100) for number in range(25)} == set(pairs)
    assert (np.diff(found.cosines) <= 0).all() and found.complete


def test_too_many_pairs_are_cut_to_the_most_alike_and_said_to_be(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAIRS", 10)
    features, looks = data()
    directions = whitened(lambda part: features[part], 300)
    found = near_duplicates(directions, looks, 0.7, 36)
    assert len(found.first) == 10 and not found.complete


def test_features_that_never_vary_find_nothing():
    looks = np.zeros((20, 16), dtype=np.uint8)
    directions = whitened(lambda part: np.ones((20, 4), dtype=np.float32)[part], 20)
    assert len(near_duplicates(directions, looks, 0.7, 36).first) == 0

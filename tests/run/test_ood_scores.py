"""The energy score against torch, and its threshold against counting."""

import json

import numpy as np
import pytest
import torch

from hf_cifar.errors import InputError
from hf_cifar.run.ood_scores import ENERGY_FILE, EnergyThreshold, energy


def logits(count, seed=0, scale=30):
    return np.random.default_rng(seed).normal(0, scale, (count, 7)).astype(np.float32)


def test_energy_is_the_negative_logsumexp_of_torch():
    drawn = np.concatenate([logits(50), [[2e4] * 7, [-2e4] * 7]])
    np.testing.assert_allclose(energy(drawn), -torch.from_numpy(drawn).double().logsumexp(1), rtol=1e-12)


def test_a_divided_head_has_the_energies_of_the_trained_one():
    np.testing.assert_allclose(energy(logits(50) / np.float32(1.7), 1.7), energy(logits(50)), rtol=1e-6)


@pytest.mark.parametrize(("count", "above"), [(1, 0), (19, 0), (20, 1), (100, 5), (1999, 99)])
def test_the_threshold_keeps_95_percent_and_hardly_more(count, above):
    scores = energy(logits(count))
    found = EnergyThreshold.calibrate(scores)
    assert (scores > found.threshold).sum() == above and found.num_examples == count


def test_what_is_written_is_read_exactly_and_what_is_damaged_is_refused(tmp_path):
    found = EnergyThreshold.calibrate(energy(logits(333)))
    found.write(tmp_path)
    file = tmp_path / ENERGY_FILE
    assert EnergyThreshold.read(file) == found
    values = json.loads(file.read_text())
    for changed in ({"score": "knn"}, {"kept": 0.9}, {"threshold": "x"}, {"threshold": float("nan")}):
        file.write_text(json.dumps({**values, **changed}))
        with pytest.raises(InputError, match=ENERGY_FILE):
            EnergyThreshold.read(file)
    file.write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        EnergyThreshold.read(file)

"""The comparison of LP-FT with plain fine-tuning: its choice of rates, its test sets, and its arithmetic by hand."""

import json
from typing import ClassVar

import numpy as np
import pytest
import torch
from support.images import write_images
from support.models import processor, tiny_resnet

from benchmarks.lp_ft.study import Study
from benchmarks.lp_ft.tables import tables
from benchmarks.lp_ft.test_sets import answers, prepare


class Rates(Study):
    """A study whose validation accuracies are made up."""

    accuracies: ClassVar[dict[float, float]] = {}

    def finetune(self, arm, images, epochs, rate, seed):
        return {"validation_accuracy": self.accuracies[rate] + 0.01 * seed}


@pytest.mark.parametrize(
    ("accuracies", "tried"),
    [
        ({0.01: 0.1, 0.03: 0.3, 0.1: 0.2}, [0.01, 0.03, 0.1]),
        ({0.01: 0.1, 0.03: 0.2, 0.1: 0.3, 0.3: 0.4, 1.0: 0.1}, [0.01, 0.03, 0.1, 0.3, 1.0]),
        ({0.003: 0.1, 0.01: 0.3, 0.03: 0.2, 0.1: 0.1}, [0.003, 0.01, 0.03, 0.1]),
    ],
    ids=["inside", "at the high end", "at the low end"],
)
def test_rates_are_tried_until_the_best_has_a_worse_one_on_both_sides(tmp_path, accuracies, tried):
    study = Rates(tmp_path, {}, [], [0, 1, 2], 2, {})
    study.accuracies = accuracies
    found = study.rates("lp-ft", 100, 5)
    assert list(found) == tried
    # The mean over the first two seeds.
    assert found[0.01] == pytest.approx(accuracies[0.01] + 0.005)


def test_test_sets_are_the_test_split_its_corrupted_copy_and_other_sources_by_class_name(tmp_path):
    write_images(tmp_path / "data" / "train", 3, seed=1)
    write_images(tmp_path / "data" / "test", 4, seed=2)
    write_images(tmp_path / "elsewhere" / "test", 2, seed=3)
    names = sorted(folder.name for folder in (tmp_path / "data" / "train").iterdir())
    # The other source has the last class alone, whose number is its place among the names of the dataset.
    for name in names[:-1]:
        for file in (tmp_path / "elsewhere" / "test" / name).iterdir():
            file.unlink()
        (tmp_path / "elsewhere" / "test" / name).rmdir()
    model = tmp_path / "model"
    network = tiny_resnet()
    network.save_pretrained(model)
    processor(16).save_pretrained(model)
    sets = prepare(str(tmp_path / "data"), {"elsewhere": str(tmp_path / "elsewhere")}, str(model))
    assert {name: len(one.labels) for name, one in sets.items()} == {"test": 12, "corrupted": 12, "elsewhere": 2}
    assert set(sets["elsewhere"].labels.tolist()) == {len(names) - 1}
    assert not torch.equal(sets["test"].pixels, sets["corrupted"].pixels)
    with torch.inference_mode():
        expected = network.eval()(pixel_values=sets["test"].pixels).logits
    np.testing.assert_allclose(answers(str(model), sets["test"]), expected.numpy(), atol=1e-6)


def test_the_tables_have_means_spreads_and_paired_intervals(tmp_path):
    # Four images of class 0; an arm's number says how many of them it gets right, seed by seed.
    right = {"probe": [1, 2, 1], "lp-ft": [3, 4, 2], "plain": [2, 2, 2], "plain, an epoch more": [2, 3, 2]}
    rows = []
    for arm, counts in right.items():
        for seed, count in enumerate(counts):
            file = tmp_path / f"{arm}-{seed}.npz"
            logits = np.array([[1.0, 0.0]] * count + [[0.0, 1.0]] * (4 - count))
            np.savez(file, **{"test": logits, "test labels": np.zeros(4, int)})
            row = {"images": 100, "epochs": 2, "arm": arm, "seed": seed, "seconds": 1.0 + seed, "temperature": 1.0}
            rows.append({**row, "answers": str(file)})
    (tmp_path / "rates.json").write_text(json.dumps({"100": {"lp-ft": {"0.01": 0.5, "0.1": 0.4}}}))
    text = tables(rows, tmp_path)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "| 100 | lp-ft | **0.01: 50.0**, 0.1: 40.0 |" in lines
    # 75, 100 and 50 %: mean 75, sample standard deviation 25. Confidence of a right answer: e / (e + 1) = 0.731.
    assert any(line.startswith("| 100 training images | lp-ft | 75.00 ± 25.00 |") for line in lines)
    # Less plain: 25, 50, 0 points: mean 25, standard error 25 / sqrt(3), t(0.975, 2) = 4.3027: 25 ± 62.10.
    # t = 1.7321 with 2 degrees of freedom: p = 0.2254.
    assert "| 100 training images | lp-ft less plain | +25.00 | -37.10 to +87.10 | 0.23 | 2 of 3 |" in lines
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["rows"]) == 12
    assert str(tmp_path) not in json.dumps(results)

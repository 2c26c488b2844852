"""Comparisons from runs on disk: rows, pairs, verdict, notes and tables, without measuring anything."""

import csv
import json
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t
from support.compared_runs import make_compared_runs
from support.made_up_stage import ROBUSTNESS

from hf_cifar.evaluation.comparison import wording
from hf_cifar.evaluation.comparison.compared_run import find_runs
from hf_cifar.evaluation.comparison.comparison import build_comparison
from hf_cifar.evaluation.comparison.disagreements import find_disagreements, write_disagreements
from hf_cifar.evaluation.comparison.mcnemar import PairedTest, difference_interval, exact_p_value, mcnemar
from hf_cifar.evaluation.comparison.pairs import seed_pairs
from hf_cifar.evaluation.comparison.rows import Measurement, ModelCost, PairRow
from hf_cifar.evaluation.comparison.tables import (
    cost_table,
    pair_table,
    quality_table,
    seed_pair_table,
    seeds_table,
)
from hf_cifar.evaluation.intervals import t_interval
from hf_cifar.run.seed_summary import SeedRow, SeedSummary, Spread

COST = ModelCost(1_234_567, 1.8204, (32, 48), 1234.5, 7.891, (7.5, 8.25))
MEASUREMENT = Measurement("Some CPU", 2, 32, 20, "2.14.1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = make_compared_runs(tmp_path_factory.mktemp("runs"))
    return find_runs([str(folder / "a"), str(folder / "a/probe"), str(folder / "b")])


@pytest.fixture(scope="module")
def comparison(runs):
    return build_comparison(runs, [COST, COST, None], MEASUREMENT)


def test_rows_and_pairs_are_those_of_the_runs(runs, comparison):
    assert [row.name for row in comparison.runs] == ["a/finetune", "a/probe", "b/probe"]
    for run, row in zip(runs, comparison.runs, strict=True):
        assert row.accuracy == run.metrics.test.accuracy == run.correct.mean()
        assert row.training_seconds == run.metrics.train.seconds
    assert [(pair.first, pair.second) for pair in comparison.pairs] == [
        ("a/finetune", "a/probe"),
        ("a/finetune", "b/probe"),
        ("a/probe", "b/probe"),
    ]
    assert comparison.pairs[1].test == mcnemar(runs[0].correct, runs[2].correct)
    assert comparison.best.accuracy == max(row.accuracy for row in comparison.runs)


def test_json_holds_every_value_by_its_name(comparison):
    content = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert set(content) == {
        *("stage", "dataset", "best", "verdict", "runs", "pairs", "seed_pairs", "settings", "measurement", "notes")
    }
    assert content["dataset"] == {"id": "colours", "split": "test", "num_test": 18}
    first, _, last = content["runs"]
    assert first["gflops"] == 1.8204 and first["image_size"] == [32, 48] and first["parameters"] == 1_234_567
    assert last["gflops"] is None and last["latency_ms_quartiles"] is None
    assert set(first) == set(last) and "cost" not in first
    assert set(content["pairs"][0]) == {
        *("first", "second", "only_first_right", "only_second_right", "num_examples", "difference"),
        *("difference_ci95", "p_value", "p_value_holm", "difference_ci_holm", "level_holm"),
    }


def test_cells_of_the_tables(comparison):
    quality = quality_table(
        [replace(comparison.runs[0], accuracy=0.97777, accuracy_ci95=(0.91119, 0.99991), ece=0.0234001)]
    )
    assert quality.rows[0][1] == "97.77% (91.11% to 100.00%)"
    assert "0.0235" in quality.rows[0] and "corrupted images" not in quality.columns
    few, many = (replace(comparison.runs[0], num_classes=number) for number in (5, 6))
    assert "top-5" not in quality_table([few]).columns, "of five classes it is 100 %"
    assert "top-5" in quality_table([few, many]).columns
    costs = cost_table(comparison.runs, 32)
    assert costs.rows[0][1:6] == ["32×48", "1.23 M", "1.82", "1,234", "7.89 ms"]
    assert costs.rows[2][1] == costs.rows[2][3] == "–" and costs.rows[2][2] != "–"
    test = PairedTest(12, 3, 180, 0.05, (0.01234, 0.08766), 0.0351)
    pair = PairRow("x", "y", test, 0.0351, test.difference_ci95, 0.95)
    assert pair_table([pair]).rows[0][2:] == ["12", "3", "+5.00 (+1.23 to +8.77)", "0.0351"]
    # A bound that is not 0 never reads as 0.
    close = replace(pair, interval=(0.0000123, 0.08766))
    assert pair_table([close]).rows[0][4] == "+5.00 (+0.001 to +8.766)"
    assert pair_table([pair, pair]).columns[-2:] == ["difference (interval, adjusted)", "p (Holm)"]


def of_two(comparison, only_first: int, only_second: int, total: int = 1000, right: int = 700):
    """The first two runs with these counts of images that one of them alone has right."""
    accuracies = [(right + count) / total for count in (only_first, only_second)]
    rows = [replace(row, accuracy=value) for row, value in zip(comparison.runs[:2], accuracies, strict=True)]
    p_value, interval = exact_p_value(only_first, only_second), difference_interval(only_first, only_second, total)
    difference = (only_first - only_second) / total
    test = PairedTest(only_first, only_second, total, difference, interval, p_value)
    pair = PairRow(rows[0].name, rows[1].name, test, p_value, interval, 0.95)
    data = replace(comparison.dataset, num_test=total)
    return replace(comparison, runs=rows, pairs=[pair], dataset=data, seed_pairs=[])


def test_verdict_of_two_runs(comparison):
    first, second = (row.name for row in comparison.runs[:2])
    assert wording.verdict(of_two(comparison, 40, 3)) == (
        f"{first} is better than {second}: 74.00% against 70.30% on 1,000 images, +3.70 points, 95% interval +2.32 to "
        "+5.15, p < 0.0001."
    )
    # The better one may stand second.
    assert wording.verdict(of_two(comparison, 3, 40)).startswith(
        f"{second} is better than {first}: 74.00% against 70.30% on 1,000 images, +3.70 points, 95% interval +2.32"
    )
    luck = wording.verdict(of_two(comparison, 9, 2))
    assert luck.startswith(f"The difference can be luck: {first} and {second} reach 70.90% against 70.20%")
    assert luck.endswith("p = 0.0654.") and "interval -0.0" in luck
    same = wording.verdict(of_two(comparison, 5, 5))
    assert same.startswith(f"{first} and {second} are right equally often, 70.50% against 70.50% on 1,000 images")


def test_verdict_of_more_runs(comparison):
    best = comparison.best.name
    others = [row.name for row in comparison.runs if row.name != best]

    def with_p_values(*values: float):
        own = iter(values)
        pairs = [
            replace(pair, p_value_holm=next(own)) if best in (pair.first, pair.second) else pair
            for pair in comparison.pairs
        ]
        return wording.verdict(replace(comparison, pairs=pairs))

    surely = with_p_values(0.049, 0.001)
    assert f"{best} has the highest accuracy" in surely and "can be luck" not in surely
    assert all(f"{name} (" in surely for name in others)
    mixed = with_p_values(0.049, 0.05)
    assert f"it is better than {others[0]} (" in mixed and f"; its lead over {others[1]} (" in mixed
    assert mixed.endswith("p = 0.0500) can be luck.")


def summary_of(accuracies: list[float], balanced: float = 0.0) -> SeedSummary:
    test = {"f1_macro": 0.5, "nll": 1.0, "ece": 0.1}
    rows = [
        SeedRow(seed, 0.9, {"accuracy": value, "balanced_accuracy": value - balanced, **test})
        for seed, value in enumerate(accuracies)
    ]
    spread = {}
    for name in rows[0].test:
        values = [row.test[name] for row in rows]
        spread[name] = Spread(statistics.fmean(values), statistics.stdev(values), t_interval(values))
    return SeedSummary("accuracy", rows, spread, kept=0)


def test_means_over_seeds_are_compared(comparison):
    first, second, third = comparison.runs
    one, other = [0.90, 0.92, 0.91], [0.80, 0.82, 0.84]
    rows = [replace(first, seeds=summary_of(one, 0.05)), replace(second, seeds=summary_of(other)), third]
    (pair,) = seed_pairs(rows)
    # Welch by hand: variances 1e-4 and 4e-4 over three seeds each; 0.09 at sqrt(5e-4 / 3), 2.941 degrees of freedom.
    error = math.sqrt(5e-4 / 3)
    freedom = (5e-4 / 3) ** 2 / ((1e-4 / 3) ** 2 / 2 + (4e-4 / 3) ** 2 / 2)
    reach = t.ppf(0.975, freedom) * error
    assert pair.difference == pytest.approx(0.09) and pair.interval == pytest.approx((0.09 - reach, 0.09 + reach))
    assert pair.p_value_holm == pytest.approx(2 * t.sf(0.09 / error, freedom)) and pair.level == 0.95
    with_seeds = replace(comparison, runs=rows, seed_pairs=[pair])
    text = wording.seeds_verdict(with_seeds)
    assert text.startswith(f"Over seeds, training as {first.name} is better than as {second.name}: mean accuracy +9.00")
    assert f"{third.name} is a single seed: how much of its accuracy is luck" in text
    table = seeds_table(rows)
    assert [row[0] for row in table.rows] == [first.name, second.name]
    assert table.rows[0][1] == "3" and table.rows[0][2].startswith("91.00% (88.51% to 93.49%)")
    assert table.rows[0][3:] == ["1.00", "86.00%", "0"]
    assert seed_pair_table([pair]).rows[0][:2] == [first.name, second.name]
    content = json.loads(json.dumps(with_seeds.to_dict(), allow_nan=False))
    assert content["runs"][0]["seeds"]["spread"]["accuracy"]["mean"] == pytest.approx(0.91)
    assert content["runs"][2]["seeds"] is None and len(content["seed_pairs"]) == 1


def test_seeds_that_do_not_differ_have_no_test(comparison):
    first, second, _ = comparison.runs
    rows = [replace(first, seeds=summary_of([0.9, 0.9])), replace(second, seeds=summary_of([0.8, 0.8]))]
    (pair,) = seed_pairs(rows)
    assert pair.p_value_holm is None and pair.interval is None and pair.difference == pytest.approx(0.1)
    assert "no spread to judge by" in wording.seeds_verdict(replace(comparison, runs=rows, seed_pairs=[pair]))
    assert wording.seeds_verdict(comparison) is None and seeds_table(comparison.runs) is None


def test_images_on_which_runs_disagree(runs, tmp_path):
    def with_answers(run, answers: str, confidence: list[float]):
        names = {"b": "blue", "g": "green", "r": "red"}
        predictions, labels = (np.array([names[letter] for letter in letters]) for letters in (answers, "bbggrr"))
        return replace(
            run,
            index=np.arange(10, 16),
            labels=labels,
            predictions=predictions,
            confidence=np.array(confidence, dtype=np.float32),
            correct=predictions == labels,
            files=[f"{number}.png" for number in range(6)],
        )

    one = with_answers(runs[0], "bbgbrg", [0.9, 0.9, 0.9, 0.5, 0.9, 0.6])
    other = with_answers(runs[1], "bgrbrb", [0.9, 0.7, 0.8, 0.5, 0.9, 0.9])
    groups = find_disagreements([one, other])
    assert [(group.title, group.positions.tolist()) for group in groups] == [
        # The surest wrong answer first: 2 was wrong with 0.8, 1 with 0.7. On 3 both say the same.
        (f"Only {one.name} is right", [2, 1]),
        ("Both are wrong, with different answers", [5]),
    ]
    write_disagreements(tmp_path / "it.csv", [one, other], groups)
    with (tmp_path / "it.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["index"], row["file"], row["label"]) for row in rows] == [
        *(("12", "2.png", "green"), ("11", "1.png", "blue"), ("15", "5.png", "red"))
    ]
    assert (rows[0][one.name], rows[0][other.name], rows[0][f"{other.name} probability"]) == ("green", "red", "0.8")
    third = with_answers(runs[2], "bbgbrr", [0.9] * 6)
    titles = [group.title for group in find_disagreements([one, other, third])]
    assert titles == [f"{one.name} and {third.name} are right", f"Only {third.name} is right"]


def test_notes(comparison):
    rows = comparison.runs
    (first, second) = wording.notes(rows, MEASUREMENT, {})
    assert "Some CPU (2 threads) with torch 2.14.1" in first and "medians of 20 rounds" in first
    assert second == "The saved model of b/probe could not be loaded: its cost is left blank."
    lines = wording.notes(rows, MEASUREMENT, {"a/probe": ROBUSTNESS, "b/probe": replace(ROBUSTNESS, seed=1)})
    assert lines[2].endswith("Measured by a/probe and b/probe only.") and "different corruptions" in lines[3]


def test_alternative_text_names_the_runs_with_a_cost(comparison):
    text = wording.describe_cost_figure(comparison)
    assert text.count("at 1.82 GFLOPs and 7.89 ms") == 2 and "b/probe" not in text

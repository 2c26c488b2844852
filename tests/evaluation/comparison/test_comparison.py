"""Comparisons from runs on disk: rows, pairs, verdict, notes and tables, without measuring anything."""

import json
from dataclasses import replace

import pytest
from support.compared_runs import make_compared_runs
from support.made_up_stage import ROBUSTNESS

from hf_cifar.evaluation.comparison import wording
from hf_cifar.evaluation.comparison.compared_run import find_runs
from hf_cifar.evaluation.comparison.comparison import build_comparison
from hf_cifar.evaluation.comparison.mcnemar import PairedTest, mcnemar
from hf_cifar.evaluation.comparison.rows import Measurement, ModelCost, PairRow
from hf_cifar.evaluation.comparison.tables import cost_table, pair_table, quality_table

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
    assert set(content) == {"stage", "dataset", "best", "runs", "pairs", "measurement", "notes"}
    assert content["dataset"] == {"id": "colours", "split": "test", "num_test": 18}
    first, _, last = content["runs"]
    assert first["gflops"] == 1.8204 and first["image_size"] == [32, 48] and first["parameters"] == 1_234_567
    assert last["gflops"] is None and last["latency_ms_quartiles"] is None
    assert set(first) == set(last) and "cost" not in first
    assert set(content["pairs"][0]) == {
        *("first", "second", "only_first_right", "only_second_right", "difference", "difference_ci95"),
        *("p_value", "p_value_holm"),
    }


def test_cells_of_the_tables(comparison):
    quality = quality_table(
        [replace(comparison.runs[0], accuracy=0.97777, accuracy_ci95=(0.91119, 0.99991), ece=0.0234001)]
    )
    assert quality.rows[0][1] == "97.77% (91.11% to 100.00%)"
    assert "0.0235" in quality.rows[0] and "corrupted images" not in quality.columns
    costs = cost_table(comparison.runs, 32)
    assert costs.rows[0][1:6] == ["32×48", "1.23 M", "1.82", "1,234", "7.89 ms"]
    assert costs.rows[2][1] == costs.rows[2][3] == "–" and costs.rows[2][2] != "–"
    pair = PairRow("x", "y", PairedTest(12, 3, 0.05, (0.01234, 0.08766), 0.0351), 0.0702)
    assert pair_table([pair]).rows[0][2:] == ["12", "3", "+5.00 (+1.23 to +8.77)", "0.0351"]
    assert pair_table([pair, pair]).columns[-1] == "p (Holm)"


def test_verdict(comparison):
    best = comparison.best.name
    assert wording.verdict(comparison).startswith(f"{best} has the highest accuracy, ")

    def with_p_value(value: float):
        return replace(comparison, pairs=[replace(pair, p_value_holm=value) for pair in comparison.pairs])

    assert "every other run is statistically significant (p < 0.05" in wording.verdict(with_p_value(0.049))
    text = wording.verdict(with_p_value(0.05))
    others = [row.name for row in comparison.runs if row.name != best]
    assert text.endswith("is not statistically significant.")
    assert all(f"{name} (p = 0.0500)" in text for name in others)


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

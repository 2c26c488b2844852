"""Tables of the report: rows and their order."""

from dataclasses import replace

import numpy as np
from support.made_up_stage import ROBUSTNESS, made_up, metrics_of, split_metrics_of

from hf_cifar.evaluation.report import tables

SPLIT = split_metrics_of(*made_up(), ["ape", "bee", "cat", "dog"], 1.4)


def test_headline_bar_is_accuracy_and_interval():
    headline = tables.headline(metrics_of("evaluate", replace(SPLIT, accuracy=0.5, accuracy_ci95=(0.4, 0.65))))
    assert headline.bar == ("50.00", "40.00", "25.00")
    assert headline.interval == "40.00% to 65.00%"
    assert (headline.stage, headline.split) == ("Evaluation", "held-out")
    assert "top-5 accuracy" not in dict(headline.tiles), "of four classes it tells nothing"


def test_classes_are_sorted_by_recall_and_absent_ones_last():
    labels = np.array([0] * 10 + [1] * 10)
    logits = 9.0 * np.eye(3)[[0] * 9 + [1] + [1] * 5 + [0] * 5]
    rows = tables.class_rows(split_metrics_of(logits, labels, ["ape", "bee", "cat"]))
    assert [(row.name, row.recall, row.num_images) for row in rows] == [
        ("bee", "50.00%", "10"),
        ("ape", "90.00%", "10"),
        ("cat", "–", "0"),
    ]


def test_splits_side_by_side():
    table = tables.split_table(metrics_of("finetune", SPLIT))
    assert table.columns == ["test", "validation"]
    rows = dict(table.rows)
    assert rows["accuracy"][1] == "12.34%" and rows["95% interval"][1] == "11.11% to 13.33%"
    assert tables.split_table(metrics_of("evaluate", SPLIT)).columns == ["held-out"]


def test_more_than_ten_thousand_images_have_more_decimals():
    large = replace(SPLIT, accuracy=0.8123456, num_examples=50_000)
    assert dict(tables.split_table(metrics_of("evaluate", large)).rows)["accuracy"] == ["81.234%"]
    assert tables.headline(metrics_of("evaluate", large)).accuracy == "81.234%"


def test_corruptions_are_sorted_by_their_mean():
    table = tables.corruption_table(ROBUSTNESS)
    assert [name for name, _ in table.rows] == ["fog", "gaussian noise", "jpeg"]
    assert table.severities == ["1", "2", "3", "4", "5"]


def test_an_evaluation_has_no_training_rows():
    assert tables.training_rows(metrics_of("evaluate", SPLIT)) == []
    assert dict(tables.training_rows(metrics_of("probe", SPLIT)))["Solver"] == "trainer"
    assert dict(tables.training_rows(metrics_of("finetune", SPLIT)))["Scheduler"] == "cosine"

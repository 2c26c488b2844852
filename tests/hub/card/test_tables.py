"""The tables of a card, on numbers whose rounding is known."""

from dataclasses import replace

from support.card_checks import rows_of
from support.made_run import edit_metrics, make_run

from hf_cifar.hub.card import sentences, tables
from hf_cifar.hub.card.card import render_card
from hf_cifar.hub.card.data import CardData
from hf_cifar.run.ood_metrics import OodComparison, OodMetrics
from hf_cifar.run.stage_metrics import StageMetrics


def cells(table: str) -> dict[str, list[str]]:
    """First cell of a row -> the others."""
    rows = [[cell.strip() for cell in row] for row in rows_of(table)]
    return {first: others for first, *others in rows}


def test_rounding_is_never_in_the_models_favour(tmp_path):
    run = make_run(tmp_path / "run")
    edit_metrics(run / "finetune", "test", "accuracy", value=0.99999)
    edit_metrics(run / "finetune", "test", "accuracy_ci95", value=[0.999129, 0.999991])
    edit_metrics(run / "finetune", "test", "ece", value=0.00001)
    table = cells(tables.results(CardData.read(run / "finetune")))
    assert table["Accuracy"][1] == "**99.99%**"
    assert table["95% interval"][1] == "99.91% to 100.00%"
    assert table["Expected calibration error"][1] == "0.0001"


def test_a_class_without_images_has_no_numbers(tmp_path):
    run = make_run(tmp_path / "run")
    edit_metrics(run / "finetune", "test", "per_class", "cat", "num_examples", value=0)
    counts = {name: 10 + index for index, name in enumerate(CardData.read(run / "finetune").test.per_class)}
    edit_metrics(run / "finetune", "dataset", "train_per_class", value=counts)
    table = cells(tables.per_class(CardData.read(run / "finetune")))
    assert table["Class"] == ["Precision", "Recall", "F1", "Training images", "Test images"]
    assert table["cat"] == ["–", "–", "–", "13", "0"]
    assert table["dog"] == ["80.00%", "70.00%", "74.50%", "15", "1,000"]


def test_what_was_not_measured_has_no_table(tmp_path):
    run = make_run(tmp_path / "run")
    edit_metrics(run / "finetune", "test", "confused_pairs", value=[])
    data = CardData.read(run / "finetune")
    assert (sentences.confusions(data), tables.robustness(data), tables.num_hidden_classes(data)) == ("", "", 0)


def test_accuracy_by_corruption_and_severity(tmp_path):
    table = tables.robustness(CardData.read(make_run(tmp_path / "run", robustness=True) / "finetune"))
    assert table.splitlines() == [
        "| Corruption | severity 1 | severity 2 | severity 3 | severity 4 | severity 5 |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
        "| gaussian noise | 60.00% | 50.00% | 40.00% | 30.00% | 20.00% |",
    ]


def test_out_of_distribution_scores_are_there_only_if_they_were_measured(tmp_path):
    stage = make_run(tmp_path / "run") / "finetune"
    assert "Out-of-distribution" not in render_card(stage)
    compared = [OodComparison("defocus_blur", True, 4000, 0.81299, 0.5)]
    measured = OodMetrics("energy", 4000, 5, 0, -3.21987, 0.9412, compared)
    metrics = StageMetrics.read(stage / "metrics.json")
    replace(metrics, ood=measured).write(stage / "metrics.json")
    text = render_card(stage)
    assert "| defocus blur | 4,000 | 0.812 | 50.00% |" in text
    assert "above -3.22 (`ood_energy.json`)" in text and "94.12% of the test images" in text

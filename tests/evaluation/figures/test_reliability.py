"""The reliability diagram: bars, gaps and the distribution of confidence against the bins."""

from dataclasses import replace

import pytest
from PIL import Image
from support.drawings import CASES, NAMES, SPLIT, degenerate, words
from support.made_up_stage import made_up, split_metrics_of

from hf_cifar.evaluation.figures.reliability import describe_reliability, merged_bins, reliability_figure
from hf_cifar.run.split_metrics import ReliabilityBin


def test_the_reliability_diagram_shows_each_bin_and_its_gap(figures, tmp_path):
    reliability_figure(tmp_path / "it.png", SPLIT)
    upper, lower = figures[0].axes
    bars, gaps = upper.containers
    filled = merged_bins(SPLIT.reliability)
    assert [bar.get_x() for bar in bars] == pytest.approx([entry.low for entry in filled])
    assert [bar.get_height() for bar in bars] == pytest.approx([entry.accuracy for entry in filled])
    tops = [gap.get_y() + gap.get_height() for gap in gaps]
    assert tops == pytest.approx([entry.confidence for entry in filled])
    after = merged_bins(SPLIT.reliability_calibrated)
    assert len(upper.lines) == 1, "the diagonal: nothing joins the bins"
    points = upper.collections[0].get_offsets()
    assert points[:, 1].tolist() == pytest.approx([entry.accuracy for entry in after])
    shares = [step.get_data().values for step in lower.patches]
    assert shares[0] == pytest.approx([entry.count / 300 for entry in SPLIT.reliability])
    assert shares[1] == pytest.approx([entry.count / 300 for entry in SPLIT.reliability_calibrated])
    assert "temperature 1.400" in words(figures[0])
    assert upper.get_xlim() == upper.get_ylim() == (0, 1)


def test_bins_with_few_images_are_drawn_as_one():
    def entry(low: float, count: int, confidence: float | None, accuracy: float | None) -> ReliabilityBin:
        return ReliabilityBin(low, low + 0.1, count, confidence, accuracy)

    empty = entry(0.0, 0, None, None)
    few, some, many = entry(0.1, 4, 0.15, 0.5), entry(0.2, 6, 0.25, 0.0), entry(0.4, 50, 0.45, 0.4)
    first, second = merged_bins([empty, few, some, entry(0.3, 0, None, None), many])
    # 4 of 0.15 and 6 of 0.25 are 0.21 on average; 2 of 10 are right.
    assert (first.low, first.high, first.count) == (0.1, pytest.approx(0.3), 10)
    assert (first.confidence, first.accuracy) == (pytest.approx(0.21), pytest.approx(0.2))
    assert second == many
    # What is left over at the top joins the bin below: 20 + 2 of 52 are right.
    (both,) = merged_bins([many, entry(0.9, 2, 0.95, 1.0)])
    assert (both.low, both.high, both.count) == (0.4, 1.0, 52) and both.accuracy == pytest.approx(22 / 52)
    assert merged_bins([few]) == [few] and merged_bins([empty]) == []


def test_without_a_temperature_only_the_model_as_it_is(figures, tmp_path):
    reliability_figure(tmp_path / "it.png", split_metrics_of(*made_up(), NAMES))
    assert not any("temperature" in text for text in words(figures[0]))
    assert len(figures[0].axes[1].patches) == 1


@pytest.mark.parametrize("case", CASES)
def test_any_predictions_are_drawn(case, tmp_path):
    reliability_figure(tmp_path / "it.png", degenerate(case))
    with Image.open(tmp_path / "it.png") as picture:
        picture.load()
        assert 500 < picture.width < 1200


def test_alternative_text_and_metrics_without_bins(tmp_path):
    split = replace(SPLIT, accuracy=0.97777, ece=0.02341, ece_calibrated=0.01001, temperature=1.72891)
    text = describe_reliability(split)
    assert "accuracy 97.77%, expected calibration error 0.0235; 0.0101 at temperature 1.729." in text
    old = replace(split, reliability=[], reliability_calibrated=None)
    assert describe_reliability(old) is None
    assert not reliability_figure(tmp_path / "it.png", old)
    assert not (tmp_path / "it.png").exists()

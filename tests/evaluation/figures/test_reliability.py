"""The reliability diagram: bars, gaps and the distribution of confidence against the bins."""

from dataclasses import replace

import pytest
from PIL import Image
from support.drawings import CASES, NAMES, SPLIT, degenerate, words
from support.made_up_stage import made_up, split_metrics_of

from hf_cifar.evaluation.figures.reliability import describe_reliability, reliability_figure


def test_the_reliability_diagram_shows_each_bin_and_its_gap(figures, tmp_path):
    reliability_figure(tmp_path / "it.png", SPLIT)
    upper, lower = figures[0].axes
    bars, gaps = upper.containers
    filled = [entry for entry in SPLIT.reliability if entry.count]
    assert [bar.get_x() for bar in bars] == pytest.approx([entry.low for entry in filled])
    assert [bar.get_height() for bar in bars] == pytest.approx([entry.accuracy for entry in filled])
    tops = [gap.get_y() + gap.get_height() for gap in gaps]
    assert tops == pytest.approx([entry.confidence for entry in filled])
    after = [entry for entry in SPLIT.reliability_calibrated if entry.count]
    assert upper.lines[-1].get_ydata() == pytest.approx([entry.accuracy for entry in after])
    shares = [step.get_data().values for step in lower.patches]
    assert shares[0] == pytest.approx([entry.count / 300 for entry in SPLIT.reliability])
    assert shares[1] == pytest.approx([entry.count / 300 for entry in SPLIT.reliability_calibrated])
    assert "temperature 1.400" in words(figures[0])


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

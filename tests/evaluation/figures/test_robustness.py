"""The figure of corrupted images: one marker for each corruption and severity."""

import pytest
from support.made_up_stage import ROBUSTNESS

from hf_cifar.evaluation.figures.robustness import describe_robustness, robustness_figure


def test_every_corruption_at_every_severity_is_a_dot_the_hardest_first(figures, tmp_path):
    robustness_figure(tmp_path / "it.png", ROBUSTNESS)
    axis = figures[0].axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["fog", "gaussian noise", "jpeg"]
    dots = axis.collections[1:]
    assert len(dots) == 5
    for severity, dot in enumerate(dots):
        expected = [ROBUSTNESS.corruptions[name][severity] for name in ("fog", "gaussian_noise", "jpeg")]
        assert list(dot.get_offsets()[:, 0]) == pytest.approx(expected)
    assert axis.lines[0].get_xdata() == [0.8125, 0.8125]


def test_alternative_text():
    assert describe_robustness(ROBUSTNESS) == (
        "Accuracy under 3 corruptions by severity: 81.25% on clean images, 55.00% on average on corrupted images. "
        "Hardest: fog, 15.00% at severity 5; easiest: jpeg, 77.00%."
    )
